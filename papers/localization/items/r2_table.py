"""Shares of variance as a table: what Tables 1 to 8 share."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from papers.localization.items.chosen import EDITORS, SCORE_TITLES, label, main_rows, read_regressions, select
from papers.localization.problems import PROBLEMS
from shared.report.editing_results import notes_of
from shared.report.item_command import Request, Table
from shared.report.layouts import Column, Layout
from shared.report.tables import Cell, compare

R2_COLUMNS = [
    Column("r2_layer", "layer R²", 3),
    Column("r2_trace", "tracing R²", 3),
    Column("r2_both", "both R²", 3),
    Column("difference", "difference", 3),
    Column("p", "p", 4),
]
ERROR_COLUMNS = [
    Column("r2_layer", "layer R²", 3),
    Column("r2_trace", "tracing R²", 3),
    Column("rmse_layer", "layer RMSE", 3),
    Column("rmse_trace", "tracing RMSE", 3),
    Column("mae_layer", "layer MAE", 3),
    Column("mae_trace", "tracing MAE", 3),
]
# Bounds of the bootstrap over facts, where a number has them.
BOUNDS = {
    "r2_layer": ("layer_low", "layer_high"),
    "r2_trace": ("trace_low", "trace_high"),
    "difference": ("low", "high"),
}
# What the choice of records and of hardware leaves open at the paper's scale.
TOLERANCE = {"r2_layer": 0.03, "r2_trace": 0.02, "r2_both": 0.03, "difference": 0.005}
METHOD = (
    "R² of least squares over all facts and edited layers: on the layer, on the tracing effect there, and on both with "
    "their interaction. The difference is what tracing adds to the layer, with its bootstrap interval over facts; p is "
    "the F-test of the two nested models."
)


def _cells(
    request: Request, where: Mapping[str, Any], columns: Sequence[Column], names: Mapping[str, str]
) -> Iterator[Cell]:
    """Yield the numbers of the chosen rows, in the paper's order of problems and editors."""
    order = [label(problem, editor) for problem in PROBLEMS for editor in EDITORS]
    for model, path in request.files():
        rows = select(read_regressions(path), where).to_dict("records")
        for row in sorted(rows, key=lambda row: order.index(label(row["problem"], row["editor"]))):
            name = names.get(row["score"]) or label(row["problem"], row["editor"])
            for column in columns:
                bounds = [row[name] for name in BOUNDS.get(column.metric, ())] or [None, None]
                known = (model, name, request.settings["dataset"], column.metric, row[column.metric])
                yield Cell(*known, *bounds, row["n_facts"])


def r2_table(
    request: Request,
    item: str,
    title: str,
    where: Mapping[str, Any],
    columns: Sequence[Column] = R2_COLUMNS,
    names: Mapping[str, str] | None = None,
) -> Table:
    """Return shares of variance of some problems and editors beside the paper's.

    Args:
        where: values of the keys that choose the rows of `regressions.csv`.
        columns: what is shown of each.
        names: score → name of the row, where rows are scores; else they are problem and editor.
    """
    cells = _cells(request, where, columns, names or {})
    frame = compare(item, cells, request.reported(item), replace(request.comparison(), tolerance=TOLERANCE))
    row_title = "Score" if names else "Problem and editor"
    return Table(frame, Layout(title, columns, row_title, notes=[METHOD, notes_of(request)]))


def all_cells(request: Request, item: str, title: str, score: str) -> Table:
    """Return Tables 3 to 6: one score, five problems, four editors."""
    return r2_table(request, item, f"{title}: {SCORE_TITLES[score]}", main_rows(request.settings, score=score))


def one_cell(request: Request, item: str, title: str, **where: Any) -> Table:
    """Return a table of Error Injection by ROME alone."""
    chosen = main_rows(request.settings, problem="error_injection", editor="rome", score="rewrite") | where
    return r2_table(request, item, title, chosen)


def fits(request: Request, item: str, title: str) -> Table:
    """Return Tables 7 and 8: fits of the rewrite and the overall score of Error Injection by ROME."""
    chosen = main_rows(request.settings, problem="error_injection", editor="rome", score=["rewrite", "overall"])
    names = {score: SCORE_TITLES[score] for score in ("rewrite", "overall")}
    return r2_table(request, item, title, chosen, ERROR_COLUMNS, names)
