"""SR, GR, ER, TrainR and TestR of sequential editing, from the edits and the accuracies of each stream (§3, §5.1)."""

from collections.abc import Mapping, Sequence
from typing import Any

from papers.t_patcher.stream import Editing

METRICS = ("success_rate", "generalization_rate", "edit_retain_rate", "train_retain_rate", "test_retain_rate")


def stream_rows(editing: Editing, label: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return one row per stream: the five metrics as they stand now, with the counts behind them.

    TrainR and TestR are ratios to the unpatched model's accuracy and may exceed 1; GR weighs each wording alike, and
    `generalization_per_edit` each edit. A stream without mistakes has no SR, GR and ER.

    Args:
        label: written into every row, such as the method's name.
    """
    problem = editing.problem
    before = {name: problem.accuracy(getattr(problem, name)) for name in ("train", "test")}
    wrong = ~problem.right_at_first()
    rows = []
    for number, stream in enumerate(editing.streams):
        kept = editing.retained(stream)
        edits = stream.edits
        rephrases = sum(edit.rephrases for edit in edits)
        asked = [edit for edit in edits if edit.rephrases]
        rows.append(
            {
                **label,
                "fold": number,
                "examples": len(stream.order),
                "mistakes": int(wrong[stream.order].sum()),
                "edits": len(edits),
                "patches": len(stream.patches),
                "steps": _share(sum(edit.steps for edit in edits), len(edits)),
                "success_rate": _share(sum(edit.right for edit in edits), len(edits)),
                "generalization_rate": _share(sum(edit.rephrases_right for edit in edits), rephrases),
                "generalization_per_edit": _share(
                    sum(edit.rephrases_right / edit.rephrases for edit in asked), len(asked)
                ),
                "edit_retain_rate": kept.get("edited"),
                "train_retain_rate": kept["train"] / before["train"] if before["train"] else None,
                "test_retain_rate": kept["test"] / before["test"] if before["test"] else None,
                "train_before": before["train"],
                "test_before": before["test"],
            }
        )
    return rows


def _share(part: float | int, whole: int) -> float | None:
    return part / whole if whole else None


def mean_over_folds(rows: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
    """Return each metric's mean over the folds that have it."""
    found: dict[str, float | None] = {}
    for name in METRICS:
        values = [row[name] for row in rows if row[name] is not None]
        found[name] = sum(values) / len(values) if values else None
    return found
