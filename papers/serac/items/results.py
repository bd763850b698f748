"""What the items share: summaries of studies as table cells, and how the paper's metrics are written."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from shared.report.editing_results import notes_of, read_csv
from shared.report.item_command import Request, Table
from shared.report.layouts import Column, Layout
from shared.report.tables import Cell, compare

PROBLEMS = {"qa": "QA", "qa_hard": "QA-hard", "fc": "FC", "convsent": "ConvSent"}
METRICS = {"edit_success": "ES", "drawdown": "DD"}
# One column per problem and metric, such as qa_hard_drawdown; each model has those of its problems.
COLUMNS = [
    Column(f"{problem}_{metric}", f"{title} {short}", 2 if metric == "drawdown" else 1)
    for problem, title in PROBLEMS.items()
    for metric, short in METRICS.items()
]
UNITS = (
    "In percent. ES, edit success: the share of inputs in the edits' scope that are answered right in every token. DD, "
    "drawdown: the share of statements out of scope whose predicted answer is no longer the unedited model's. Of "
    "ConvSent, ES is the product of how far the wanted sentiment outweighs the other and of how far replies about the "
    "topic stay as probable as they were, DD the divergence from the unedited model in nats per token, and n counts "
    "groups of edits."
)
DATASET = "test"


def summary_of(path: str | Path) -> pd.DataFrame:
    """Return a study's means with their intervals.

    Raises:
        DataError: the file is absent or holds something else.
    """
    return read_csv(path, ["editor", "edits", "metric", "mean", "low", "high", "n"])


def cells_of(request: Request, methods: Mapping[str, Mapping[str, str]]) -> list[Cell]:
    """Return the cells of all studies with the usual number of edits held.

    Args:
        methods: problem → variant → name of the method in the table.
    """
    cells = []
    for (model, path), problem in zip(request.files(), request.settings["datasets"], strict=True):
        names, summary = methods.get(problem, {}), summary_of(path)
        chosen = summary[
            (summary["edits"] == request.settings["held"])
            & summary["editor"].isin(list(names))
            & summary["metric"].isin(list(METRICS))
        ]
        for line in chosen.itertuples():
            own = (names[line.editor], DATASET, f"{problem}_{line.metric}")
            cells.append(Cell(model, *own, line.mean, line.low, line.high, int(line.n)))
    return cells


def table_of(request: Request, item: str, title: str, methods: Mapping[str, Mapping[str, str]]) -> Table:
    """Return a table of edit success and drawdown beside the paper's numbers."""
    frame = compare(item, cells_of(request, methods), request.reported(item), request.comparison())
    shown = [column for column in COLUMNS if (frame["metric"] == column.metric).any()]
    return Table(frame, Layout(title, shown, notes=[notes_of(request), UNITS]))
