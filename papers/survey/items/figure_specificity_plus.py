"""Neighbourhood scores alone and after the edited fact (CounterFact and CounterFact+), by editor."""

import numpy as np
import pandas as pd

from papers.survey.items.panels import bars, editors_in
from papers.survey.items.results import PLUS, SINGLE, metrics_of
from shared.report.drawing import legend_below
from shared.report.item_command import Drawing, Request, figure_main
from shared.report.plots import PAGE_INCHES, look_of, new_figure

METRICS = {"NS": ("NS, neighbour alone", "#6BAED6"), "NS+": ("NS+, after the edited fact", "#E6550D")}
COLUMNS = ["model", "editor", "metric", "value", "low", "high", "n", "reported"]


def frame_of(request: Request) -> pd.DataFrame:
    """Return model, editor, metric, value with its interval, and the number reported for the model that ours plays."""
    rows = metrics_of(request)
    chosen = (rows["form"] == "counterfact") & (rows["protocol"] == SINGLE) & (rows["scorer"] == PLUS)
    frame = rows[chosen & rows["metric"].isin(list(METRICS))].rename(columns={"mean": "value"})
    known = {(row.model, row.method, row.metric): row.value for row in request.reported("table_specificity_plus")}
    roles = request.settings.get("stands_for", {})
    keys = zip(frame["model"], frame["editor"], frame["metric"], strict=True)
    frame["reported"] = [known.get((roles.get(model), editor, metric), np.nan) for model, editor, metric in keys]
    return frame[COLUMNS].reset_index(drop=True)


def make(request: Request) -> Drawing:
    """Draw one panel per model, two bars per editor, and a diamond where a number is reported."""
    frame = frame_of(request)
    models = list(dict.fromkeys(frame["model"])) or [""]
    figure, axes = new_figure(len(models), 1, width=PAGE_INCHES, height=0.5 + 2.0 * len(models))
    for panel, model in zip(axes.flat, models, strict=True):
        own = frame[frame["model"] == model]
        editors = editors_in(own)
        for place, (metric, (title, color)) in enumerate(METRICS.items()):
            part = own[own["metric"] == metric].set_index("editor").reindex(editors)
            x = np.arange(len(editors)) + 0.4 * place - 0.2
            bars(panel, x, part, 0.38, color=color, label=title)
            look = {
                "marker": "D",
                "s": 16,
                "facecolors": "white",
                "edgecolors": "#333333",
                "linewidths": 0.7,
                "zorder": 3,
            }
            panel.scatter(x, part["reported"], label="reported of GPT-J" if place else None, **look)
        titles = [look_of(editor).title for editor in editors]
        panel.set_xticks(range(len(editors)), titles, rotation=30, ha="right", rotation_mode="anchor")
        panel.set(ylabel="percent", ylim=(0, 105), title=model or "no numbers of this run")
    legend_below(figure, axes[0, 0], 3)
    return Drawing(figure, frame)


if __name__ == "__main__":
    figure_main(make, __doc__)
