"""SR, GR, ER, TrainR and TestR of sequential editing, from the edits and the accuracies of each stream (§3, §5.1)."""

from collections.abc import Mapping, Sequence
from typing import Any

from papers.t_patcher.problem import Problem
from papers.t_patcher.stream import Editing, Stream

METRICS = ("success_rate", "generalization_rate", "edit_retain_rate", "train_retain_rate", "test_retain_rate")


def stream_row(problem: Problem, stream: Stream, kept: Mapping[str, float], label: Mapping[str, Any]) -> dict[str, Any]:
    """Return one stream's metrics as they stand now, with the counts behind them.

    TrainR and TestR are ratios to the unpatched model's accuracy and may exceed 1, as is `near_retain_rate`, for like
    questions about other subjects; GR weighs each wording alike, and `generalization_per_edit` each edit. A stream
    without mistakes has no SR, GR and ER. Of patches, `active_rate` and `apart_rate` are the shares of wordings that
    `Edit` counts, and `alignment` the mean over edits.

    Args:
        kept: accuracies of the stream's current model: `train`, `test`, `near` where known, `edited` after an edit.
        label: written into the row, such as the method's name.
    """
    edits, before = stream.edits, problem.accuracy_before
    rephrases = sum(edit.rephrases for edit in edits)
    asked = [edit for edit in edits if edit.rephrases]
    patched = len(stream.patches) > 0
    return {
        **label,
        "examples": len(stream.order),
        "mistakes": int((~problem.right_at_first())[stream.order].sum()),
        "edits": len(edits),
        "patches": len(stream.patches),
        "steps": _share(sum(edit.steps for edit in edits), len(edits)),
        "success_rate": _share(sum(edit.right for edit in edits), len(edits)),
        "generalization_rate": _share(sum(edit.rephrases_right for edit in edits), rephrases),
        "generalization_per_edit": _share(sum(edit.rephrases_right / edit.rephrases for edit in asked), len(asked)),
        "active_rate": _share(sum(edit.active for edit in edits), rephrases) if patched else None,
        "apart_rate": _share(sum(edit.apart for edit in edits), rephrases) if patched else None,
        "alignment": _share(sum(edit.alignment for edit in edits), len(edits)) if patched else None,
        "edit_retain_rate": kept.get("edited"),
        **{f"{name}_retain_rate": _ratio(kept.get(name), before.get(name)) for name in ("train", "test", "near")},
        **{f"{name}_before": before.get(name) for name in ("train", "test", "near")},
    }


def stream_rows(editing: Editing, label: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return one row per stream of patches, numbered by `fold`."""
    return [
        stream_row(editing.problem, stream, editing.retained(stream), {**label, "fold": number})
        for number, stream in enumerate(editing.streams)
    ]


def _share(part: float | int, whole: int) -> float | None:
    return part / whole if whole else None


def _ratio(after: float | None, before: float | None) -> float | None:
    return after / before if before and after is not None else None


def mean_over_folds(rows: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
    """Return each metric's mean over the folds that have it."""
    found: dict[str, float | None] = {}
    for name in METRICS:
        values = [row[name] for row in rows if row[name] is not None]
        found[name] = sum(values) / len(values) if values else None
    return found
