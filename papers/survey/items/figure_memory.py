"""Memory of an edit beyond the loaded model, and what training takes beyond it."""

import numpy as np
import pandas as pd

from papers.survey.items.panels import editors_in
from papers.survey.items.results import SINGLE, costs_of
from shared.drawing import legend_below
from shared.item_command import Drawing, Request, figure_main
from shared.plots import PAGE_INCHES, look_of, new_figure


def frame_of(request: Request) -> pd.DataFrame:
    """Return model, editor, peak of an edit, and the excess of training over it, in MiB (largest over both forms)."""
    costs = costs_of(request)
    single = costs[costs["protocol"] == SINGLE].astype({"peak_mib": float, "training_peak_mib": float})
    peaks = single.groupby(["model", "editor"], sort=False)[["peak_mib", "training_peak_mib"]].max().reset_index()
    peaks["excess_mib"] = (peaks["training_peak_mib"] - peaks["peak_mib"]).clip(lower=0)
    return peaks


def make(request: Request) -> Drawing:
    """Draw one panel per model, one bar per editor, the excess of training on top."""
    frame = frame_of(request)
    models = list(dict.fromkeys(frame["model"])) or [""]
    figure, axes = new_figure(len(models), 1, width=PAGE_INCHES, height=0.5 + 2.0 * len(models))
    for panel, model in zip(axes.flat, models, strict=True):
        own = frame[frame["model"] == model].set_index("editor")
        editors = editors_in(own.reset_index())
        own, x = own.reindex(editors), np.arange(len(editors))
        panel.bar(x, own["peak_mib"], 0.7, color="#6BAED6", label="an edit")
        excess = own["excess_mib"].fillna(0)
        panel.bar(x, excess, 0.7, bottom=own["peak_mib"].fillna(0), color="#E6550D", label="more in training")
        panel.set_xticks(x, [look_of(editor).title for editor in editors], rotation=30)
        panel.set(ylabel="MiB", title=model or "no numbers of this run")
    legend_below(figure, axes[0, 0], 2)
    return Drawing(figure, frame)


if __name__ == "__main__":
    figure_main(make, __doc__)
