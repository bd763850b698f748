"""One setting of a method swept, all else equal: what Figures 9 and 13 share."""

import pandas as pd

from papers.memit.items.results import COLORS, PERCENT, SCORES, SHORT
from shared.report.drawing import legend_below
from shared.report.editing_results import sweep_of, unedited_of
from shared.report.item_command import Drawing, Request
from shared.report.plots import COLUMN_INCHES, draw_line, new_figure

MARKERS = {"score": "o", "efficacy_score": "s", "paraphrase_score": "^", "neighborhood_score": "D"}


def sweep_frame(request: Request, variant: str, setting: str) -> pd.DataFrame:
    """Return the results of a variant's grid: model, the setting, metric, value, low, high, n."""
    ((model, path),) = request.files()
    frame = sweep_of(path, SCORES)
    frame = frame[frame["variant"] == variant].assign(model=model)
    return frame[["model", setting, "metric", "value", "low", "high", "n"]].reset_index(drop=True)


def draw_metrics(
    request: Request, frame: pd.DataFrame, places: pd.Series, ticks: dict[float, str], label: str
) -> Drawing:
    """Draw S, ES, PS and NS over a setting, and the unedited model's NS as a dotted line.

    Args:
        frame: from `sweep_frame`.
        places: x of each line of `frame`.
        ticks: x → what stands below it.
        label: name of the setting.
    """
    ((_, path),) = request.files()
    figure, axes = new_figure(width=1.3 * COLUMN_INCHES, height=2.6)
    panel = axes[0, 0]
    for metric in SCORES:
        chosen = frame["metric"] == metric
        line = frame[chosen].assign(x=places[chosen]).sort_values("x")
        look = {"label": SHORT[metric], "color": COLORS[metric], "marker": MARKERS[metric], "linestyle": "-"}
        draw_line(panel, metric, line["x"], line["value"], line["low"], line["high"], **look)
    unedited = unedited_of(path, ["neighborhood_score"])["neighborhood_score"]
    color = COLORS["neighborhood_score"]
    panel.axhline(unedited, color=color, linestyle=":", linewidth=0.8, label="NS, unedited")
    panel.set_xticks(list(ticks), list(ticks.values()))
    panel.set(xlabel=label, ylabel=PERCENT)
    legend_below(figure, panel, 5)
    return Drawing(figure, frame)
