"""Figures of metrics over a setting of a grid: one panel per metric, one line per series."""

from collections.abc import Mapping, Sequence

import pandas as pd

from shared.report.drawing import integer_ticks, legend_below, sweep_lines
from shared.report.editing_results import METRIC_TITLES, sweep_of, unedited_of
from shared.report.item_command import Drawing, Request
from shared.report.plots import PAGE_INCHES, look_of, new_figure

Looks = Mapping[str, tuple[str, str, str]]


def frame_of(request: Request, metrics: Sequence[str]) -> pd.DataFrame:
    """Return the grid's results of the item's one model, with the model's name first."""
    ((model, path),) = request.files()
    frame = sweep_of(path, metrics)
    frame.insert(0, "model", model)
    return frame


def draw_sweep(
    request: Request,
    frame: pd.DataFrame,
    metrics: Sequence[str],
    *,
    rows: int,
    x: str,
    series: str,
    looks: Looks,
    legend_columns: int,
    height: float,
    legend_title: str | None = None,
) -> Drawing:
    """Draw one panel per metric, lines per `series`, the unedited model as a dotted line.

    Args:
        frame: from `frame_of`, with the columns `x` and `series`.
        rows: number of rows of panels.
        height: inches.
    """
    ((_, path),) = request.files()
    unedited = unedited_of(path, metrics)
    figure, axes = new_figure(rows, len(metrics) // rows, width=PAGE_INCHES, height=height, sharex=True)
    for panel, metric in zip(axes.flat, metrics, strict=True):
        chosen = frame[frame["metric"] == metric]
        sweep_lines(panel, chosen, x=x, series=series, looks=looks, title=METRIC_TITLES[metric], unit="percent")
        if metric in unedited:
            panel.axhline(unedited[metric], color=look_of("none").color, linestyle=":", linewidth=0.8, label="unedited")
        if x == "layer":
            integer_ticks(panel.xaxis, chosen[x].nunique())
    for panel in axes[:-1].flat:
        panel.set_xlabel("")
    for panel in axes[:, 1:].flat:
        panel.set_ylabel("")
    legend_below(figure, axes[0, 0], legend_columns, legend_title)
    return Drawing(figure, frame)
