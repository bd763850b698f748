"""Grouped bars by relation, which Figures 4 to 6 share."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from papers.kn.analysis import change_by_relation
from papers.kn.items.wording import CHANGES, SETS
from shared.report.drawing import legend_below
from shared.report.item_command import Drawing, Request
from shared.report.plots import PAGE_INCHES, new_figure


def grouped_bars(axes: Axes, frame: pd.DataFrame, series: str, looks: Mapping[str, tuple[str, str]]) -> None:
    """Draw one group of bars per relation with 95 % intervals.

    Args:
        frame: columns relation, `series`, value, low, high.
        looks: value of `series` → title and colour, in order.
    """
    relations = list(dict.fromkeys(frame["relation"]))
    width = 0.8 / len(looks)
    for place, (name, (title, color)) in enumerate(looks.items()):
        own = frame[frame[series] == name].set_index("relation").reindex(relations)
        x = np.arange(len(relations)) + (place - (len(looks) - 1) / 2) * width
        axes.bar(x, own["value"], width, color=color, label=title)
        spread = np.abs(np.array([own["value"] - own["low"], own["high"] - own["value"]]))
        axes.errorbar(x, own["value"], spread, fmt="none", ecolor="#333333", elinewidth=0.6, capsize=1)
    axes.axhline(0, color="#333333", linewidth=0.6)
    axes.set_xticks(range(len(relations)), relations, rotation=90 if len(relations) > 12 else 0)


def draw_change(request: Request, change: str, sets: tuple[str, ...]) -> Drawing:
    """Draw the change of the answers' probability by relation for some sets of neurons."""
    ((model, path),) = request.files()
    frame = change_by_relation(pd.read_csv(path))
    frame = frame[(frame["change"] == change) & frame["set"].isin(sets)]
    figure, axes = new_figure(width=PAGE_INCHES, height=2.4)
    grouped_bars(axes[0, 0], frame, "set", {name: SETS[name] for name in sets})
    axes[0, 0].set(ylabel=f"change of probability, %\n(neurons {CHANGES[change]})")
    legend_below(figure, axes[0, 0], len(sets))
    return Drawing(figure, frame.assign(model=model))
