"""Edit success and drawdown over the number of pairs that one edit writes."""

import pandas as pd

from papers.mend.items.results import summary_of
from shared.report.drawing import legend_below
from shared.report.item_command import Drawing, Request, figure_main
from shared.report.plots import PAGE_INCHES, draw_over_sizes, new_figure

METHODS = ("ft", "enn", "mend")
PANELS = {"edit_success": ("edit success", "percent"), "accuracy_drawdown": ("accuracy drawdown", "points")}


def frame_of(request: Request) -> pd.DataFrame:
    """Return method, pairs per edit, metric and value with its interval."""
    summary = pd.concat([summary_of(path) for _, path in request.files()])
    summary = summary.assign(editor=summary["editor"].str.split("_").str[0], full=summary["editor"])
    plain = summary["full"].isin(METHODS) | summary["full"].str.fullmatch(rf"({'|'.join(METHODS)})_\d+")
    chosen = summary[plain & summary["metric"].isin(PANELS)]
    named = chosen.rename(columns={"mean": "value", "edits": "pairs"})
    return named[["editor", "pairs", "metric", "value", "low", "high", "n"]].reset_index(drop=True)


def make(request: Request) -> Drawing:
    """Draw one panel per metric and one line with its 95 % band per method."""
    frame = frame_of(request)
    figure, axes = new_figure(1, len(PANELS), width=PAGE_INCHES, height=2.4)
    for panel, (metric, (title, unit)) in zip(axes.flat, PANELS.items(), strict=True):
        draw_over_sizes(panel, frame[frame["metric"] == metric], "pairs")
        panel.set(title=title, ylabel=unit, xlabel="pairs in one edit")
    legend_below(figure, axes[0, 0], len(METHODS))
    return Drawing(figure, frame)


if __name__ == "__main__":
    figure_main(make, __doc__)
