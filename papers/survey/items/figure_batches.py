"""Reliability, generalization and locality of edits made together, by their number."""

import pandas as pd

from papers.survey.items.panels import editors_in, grouped_bars, heading, rows_of
from papers.survey.items.results import ACCURACIES, SURVEY, in_protocol, metrics_of
from shared.report.drawing import legend_below
from shared.report.item_command import Drawing, Request, figure_main
from shared.report.plots import PAGE_INCHES, new_figure

COLUMNS = ["model", "form", "editor", "edits", "metric", "value", "low", "high", "n"]


def frame_of(request: Request) -> pd.DataFrame:
    """Return model, form, editor, edits made together, metric and value with its interval.

    Single edits stand for batches of one.
    """
    rows = in_protocol(metrics_of(request))
    rows = rows[(rows["scorer"] == SURVEY) & rows["metric"].isin(list(ACCURACIES))].rename(columns={"mean": "value"})
    batches = rows[rows["kind"] == "batch"]
    editors = set(batches[["model", "form", "editor"]].itertuples(index=False, name=None))
    of_batches = [line in editors for line in rows[["model", "form", "editor"]].itertuples(index=False, name=None)]
    one = rows[pd.Series(of_batches, index=rows.index, dtype=bool) & (rows["kind"] == "single")]
    one = one if not (batches["edits"] == 1).any() else one.iloc[:0]
    return pd.concat([one, batches], ignore_index=True)[COLUMNS]


def make(request: Request) -> Drawing:
    """Draw one panel per metric, one group of bars per number of edits."""
    frame = frame_of(request)
    rows = rows_of(frame)
    figure, axes = new_figure(len(rows), len(ACCURACIES), width=PAGE_INCHES, height=0.6 + 1.7 * len(rows), sharey=True)
    editors, sizes = editors_in(frame), sorted(frame["edits"].unique())
    for line, (model, form) in zip(axes, rows, strict=True):
        own = frame[(frame["model"] == model) & (frame["form"] == form)]
        for panel, (metric, title) in zip(line, ACCURACIES.items(), strict=True):
            grouped_bars(panel, own[own["metric"] == metric], "edits", sizes, editors)
            panel.set(title=f"{title}\n{heading(model, form)}", ylim=(0, 105))
        line[0].set_ylabel("percent")
    for panel in axes[-1]:
        panel.set_xlabel("edits made together")
    legend_below(figure, axes[0, 0], 7)
    return Drawing(figure, frame)


if __name__ == "__main__":
    figure_main(make, __doc__)
