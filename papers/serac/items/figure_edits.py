"""Edit success and drawdown over the number of edits held at once."""

import pandas as pd

from papers.serac.items.results import METRICS, PROBLEMS, summary_of
from shared.report.drawing import legend_below
from shared.report.item_command import Drawing, Request, figure_main
from shared.report.plots import PAGE_INCHES, draw_over_sizes, new_figure

METHODS = ("enn", "mend", "serac")
DRAWN = ("qa", "qa_hard")


def frame_of(request: Request) -> pd.DataFrame:
    """Return problem, method, edits held, metric and value with its interval, of the problems about questions."""
    found = []
    for (_, path), problem in zip(request.files(), request.settings["datasets"], strict=True):
        summary = summary_of(path)
        chosen = summary[summary["editor"].isin(METHODS) & summary["metric"].isin(list(METRICS))]
        if problem in DRAWN:
            found.append(chosen.rename(columns={"mean": "value"}).assign(problem=problem))
    columns = ["problem", "editor", "edits", "metric", "value", "low", "high", "n"]
    return pd.concat(found)[columns].reset_index(drop=True) if found else pd.DataFrame(columns=columns)


def make(request: Request) -> Drawing:
    """Draw one row of panels per metric, one panel per problem that was run, one line with its 95 % band per method."""
    frame = frame_of(request)
    problems = [problem for problem in DRAWN if problem in set(frame["problem"])] or list(DRAWN)
    figure, axes = new_figure(len(METRICS), len(problems), width=PAGE_INCHES * len(problems) / len(DRAWN), height=4.2)
    for row, (metric, short) in zip(axes, METRICS.items(), strict=True):
        for panel, problem in zip(row, problems, strict=True):
            own = frame[(frame["metric"] == metric) & (frame["problem"] == problem)]
            draw_over_sizes(panel, own, "edits")
            panel.set(title=f"{PROBLEMS[problem]}: {short}", ylabel="percent", xlabel="edits held at once")
    legend_below(figure, axes[0, 0], len(METHODS))
    return Drawing(figure, frame)


if __name__ == "__main__":
    figure_main(make, __doc__)
