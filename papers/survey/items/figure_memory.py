"""Memory of an edit beyond the loaded model, and of the job that trains a method."""

import numpy as np
import pandas as pd

from papers.survey.items.panels import editors_in
from papers.survey.items.results import SINGLE, costs_of
from shared.report.item_command import Drawing, Request, figure_main
from shared.report.plots import PAGE_INCHES, look_of, new_figure

PARTS = {
    "peak_mib": ("an edit, beyond the loaded model", "#6BAED6"),
    "training_peak_mib": ("training, the whole process", "#E6550D"),
}


def frame_of(request: Request) -> pd.DataFrame:
    """Return model, editor, peak of an edit and of its training in MiB, the larger of both forms."""
    costs = costs_of(request)
    single = costs[costs["protocol"] == SINGLE].astype(dict.fromkeys(PARTS, float))
    return single.groupby(["model", "editor"], sort=False)[list(PARTS)].max().reset_index()


def make(request: Request) -> Drawing:
    """Draw one row of panels per model, one bar per editor; what is not comparable has an axis of its own."""
    frame = frame_of(request)
    models = list(dict.fromkeys(frame["model"])) or [""]
    ratio = {"width_ratios": [3, 1]}
    figure, axes = new_figure(len(models), 2, width=PAGE_INCHES, height=0.3 + 2.0 * len(models), gridspec_kw=ratio)
    for line, model in zip(axes, models, strict=True):
        for panel, (part, (title, color)) in zip(line, PARTS.items(), strict=True):
            own = frame[(frame["model"] == model) & frame[part].notna()].set_index("editor")
            editors = editors_in(own.reset_index())
            x = np.arange(len(editors))
            panel.bar(x, own.reindex(editors)[part], 0.7, color=color)
            panel.set_xticks(x, [look_of(editor).title for editor in editors], rotation=45)
            panel.set(ylabel="MiB", title=f"{title}\n{model or 'no numbers of this run'}")
            panel.set_xlim(-0.7, max(len(editors), 1) - 0.3)
    return Drawing(figure, frame)


if __name__ == "__main__":
    figure_main(make, __doc__)
