"""Editing results as table cells and as curves: what the items on edited models share."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from shared.editing.runs import point_of
from shared.errors import DataError
from shared.report.item_command import Request, Table
from shared.report.layouts import Column, Layout
from shared.report.tables import Cell, compare

UNEDITED = "none"
MEASURED = ("mean", "value", "low", "high")
COUNTERFACT_COLUMNS = [
    Column("score", "S"),
    Column("efficacy_score", "ES"),
    Column("efficacy_magnitude", "EM"),
    Column("paraphrase_score", "PS"),
    Column("paraphrase_magnitude", "PM"),
    Column("neighborhood_score", "NS"),
    Column("neighborhood_magnitude", "NM"),
    Column("generation_entropy", "GE"),
    Column("reference_score", "RS"),
]
ZSRE_COLUMNS = [
    Column("efficacy_accuracy", "Efficacy"),
    Column("paraphrase_accuracy", "Paraphrase"),
    Column("specificity_accuracy", "Specificity"),
    Column("score", "S"),
]
# Not in the paper: known where the data hold more facts about an edited subject.
EXTRA_COLUMNS = [Column("other_facts_kept", "Other facts kept")]
MAGNITUDES = ["efficacy_magnitude", "paraphrase_magnitude", "neighborhood_magnitude"]
SCORES = ["efficacy_score", "paraphrase_score", "neighborhood_score"]
METRIC_TITLES = {
    "efficacy_score": "efficacy score (ES)",
    "paraphrase_score": "paraphrase score (PS)",
    "neighborhood_score": "neighborhood score (NS)",
    "efficacy_magnitude": "efficacy magnitude (EM)",
    "paraphrase_magnitude": "paraphrase magnitude (PM)",
    "neighborhood_magnitude": "neighborhood magnitude (NM)",
    "score": "score (S)",
}


def read_summary(path: str | Path) -> pd.DataFrame:
    """Return a run's means with their intervals, as `shared.measures.measure` wrote them.

    Raises:
        DataError: if the file is absent or holds something else.
    """
    return read_csv(path, ["editor", "metric", "mean", "low", "high", "n"])


def read_cases(path: str | Path) -> pd.DataFrame:
    """Return a run's metrics of each case, as shares and probabilities in [0, 1] (entropy in bits).

    Raises:
        DataError: if the file is absent or holds something else.
    """
    return read_csv(path, ["editor", "case_id"])


def read_csv(path: str | Path, columns: Sequence[str]) -> pd.DataFrame:
    """Return a CSV file of measurements.

    Raises:
        DataError: if the file is absent or lacks one of `columns`.
    """
    if not Path(path).is_file():
        raise DataError(f"{path}: no such file; the rule that writes it has not run")
    # "none" is the unedited model's name, not a missing value.
    frame = pd.read_csv(path, keep_default_na=False, na_values=[""])
    missing = [name for name in columns if name not in frame]
    if missing:
        raise DataError(
            f"{path}: columns {missing} are missing; did shared.measures.measure or the paper's own program write it?"
        )
    # Whole numbers in the file are still measurements.
    return frame.astype({name: float for name in MEASURED if name in columns})


def cells_of(path: str | Path, model: str, dataset: str, methods: Sequence[str] | None = None) -> list[Cell]:
    """Return a run's means as table cells, the unedited model's among them.

    Args:
        methods: editors to take, in this order; all if absent.
    """
    summary = read_summary(path)
    present = list(dict.fromkeys(summary["editor"]))
    order = [UNEDITED, *(methods or [name for name in present if name != UNEDITED])]
    return [
        Cell(model, line.editor, dataset, line.metric, line.mean, line.low, line.high, int(line.n))
        for editor in order
        for line in summary[summary["editor"] == editor].itertuples()
    ]


def editing_table(
    request: Request,
    item: str,
    title: str,
    dataset: str,
    columns: Iterable[Column],
    methods: Sequence[str] | None = None,
) -> Table:
    """Return one of the tables that compare editors on a dataset, the paper's numbers beside ours."""
    cells = [cell for model, path in request.files() for cell in cells_of(path, model, dataset, methods)]
    frame = compare(item, cells, request.reported(item), request.comparison())
    shown = [column for column in columns if (frame["metric"] == column.metric).any()]
    return Table(frame, Layout(title, shown, notes=[notes_of(request), "Values in percent, GE in 100 bits."]))


def notes_of(request: Request) -> str:
    """Return a sentence on whose numbers stand in the table."""
    if request.settings.get("exact"):
        return "Ours and the paper's numbers are of the same models and data."
    return (
        f"Ours are of small models of the {request.settings.get('scale', 'laptop')} scale, the paper's of the models "
        "that they stand for: signs of change can be compared, sizes cannot."
    )


def sweep_of(path: str | Path, metrics: Sequence[str]) -> pd.DataFrame:
    """Return a grid's results in long form: the grid's settings, metric, value, low, high, n.

    The unedited model is left out.
    """
    summary = read_summary(path)
    chosen = summary[summary["metric"].isin(metrics) & (summary["editor"] != UNEDITED)]
    points = pd.DataFrame([point_of(name) for name in chosen["editor"]], index=chosen.index)
    values = chosen[["metric", "mean", "low", "high", "n"]].rename(columns={"mean": "value"})
    return pd.concat([points, values], axis=1).reset_index(drop=True)


def unedited_of(path: str | Path, metrics: Sequence[str]) -> Mapping[str, float]:
    """Return the unedited model's means, in percent."""
    summary = read_summary(path)
    chosen = summary[(summary["editor"] == UNEDITED) & summary["metric"].isin(metrics)]
    return dict(zip(chosen["metric"], chosen["mean"], strict=True))
