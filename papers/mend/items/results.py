"""What the items share: summaries of studies as table cells, and how the paper's metrics are written."""

from collections.abc import Mapping, Sequence

import pandas as pd

from shared.report.editing_results import notes_of, read_csv
from shared.report.item_command import Request, Table
from shared.report.layouts import Column, Layout
from shared.report.tables import Cell, compare

COLUMNS = [
    Column("edit_success", "Edit success"),
    Column("edit_success_edited", "On the edited input"),
    Column("accuracy_drawdown", "Accuracy drawdown", 2),
    Column("perplexity_drawdown", "Perplexity drawdown", 3),
]
# Data set → the drawdown that the paper gives for it.
DRAWDOWN = {
    "zsre": "accuracy_drawdown",
    "fever": "accuracy_drawdown",
    "counterfact": "accuracy_drawdown",
    "wikitext": "perplexity_drawdown",
}
UNITS = "Edit success in percent, accuracy drawdown in points, perplexity drawdown as a difference of perplexities."


def summary_of(path) -> pd.DataFrame:
    """Return a study's means with their intervals.

    Raises:
        DataError: the file is absent or holds something else.
    """
    return read_csv(path, ["editor", "edits", "metric", "mean", "low", "high", "n"])


def cells_of(request: Request, methods: Mapping[str, str] | None = None) -> list[Cell]:
    """Return the cells of all studies: edit success, and the drawdown that belongs to each data set.

    Args:
        methods: variant → name of the method in the table; all variants under their own names if absent.
    """
    cells = []
    for (model, path), dataset in zip(request.files(), request.settings["datasets"], strict=True):
        summary = summary_of(path)
        wanted = ["edit_success", "edit_success_edited", DRAWDOWN[dataset]]
        for line in summary[summary["metric"].isin(wanted)].itertuples():
            if methods is None or line.editor in methods:
                name = methods[line.editor] if methods else line.editor
                cells.append(Cell(model, name, dataset, line.metric, line.mean, line.low, line.high, int(line.n)))
    return cells


def table_of(
    request: Request, item: str, title: str, methods: Sequence[str] | Mapping[str, str], notes: Sequence[str] = ()
) -> Table:
    """Return a table of edit success and drawdown beside the paper's numbers."""
    names = methods if isinstance(methods, Mapping) else dict(zip(methods, methods, strict=True))
    frame = compare(item, cells_of(request, names), request.reported(item), request.comparison())
    shown = [column for column in COLUMNS if (frame["metric"] == column.metric).any()]
    return Table(frame, Layout(title, shown, notes=[notes_of(request), UNITS, *notes]))
