"""Growth of the changed weights and entropy of generated text along a sequence, with the edits found disabling."""

import pandas as pd

from papers.survey.items.panels import editors_in, heading, rows_of
from papers.survey.items.results import curves_of
from shared.report.drawing import legend_below
from shared.report.editing_results import UNEDITED
from shared.report.item_command import Drawing, Request, figure_main
from shared.report.plots import PAGE_INCHES, draw_line, look_of, new_figure

PANELS = {
    "norm_growth": ("whole change so far", "share of the weights' norm"),
    "update_norm": ("change by one edit", "norm per changed weight"),
    "entropy": ("entropy of a generated text", "bits"),
}


def frame_of(request: Request) -> pd.DataFrame:
    """Return model, form, editor, edits, norm_growth, update_norm, entropy, disabled (0 or 1)."""
    numbers = dict.fromkeys([*PANELS, "disabled"], float)
    return curves_of(request).astype(numbers)[["model", "form", "editor", "edits", *numbers]]


def make(request: Request) -> Drawing:
    """Draw one row of panels per model and form, one line per method, crosses at disabling edits."""
    frame = frame_of(request)
    rows = rows_of(frame)
    figure, axes = new_figure(len(rows), len(PANELS), width=PAGE_INCHES, height=0.6 + 1.8 * len(rows))
    for line, (model, form) in zip(axes, rows, strict=True):
        own = frame[(frame["model"] == model) & (frame["form"] == form)]
        for panel, (column, (title, unit)) in zip(line, PANELS.items(), strict=True):
            unedited = own[(own["editor"] == UNEDITED) & own[column].notna()]
            for level in unedited[column] if column == "entropy" else []:
                panel.axhline(level, color=look_of(UNEDITED).color, linestyle=":", label=look_of(UNEDITED).title)
            for editor in editors_in(own[own["editor"] != UNEDITED]):
                curve = own[(own["editor"] == editor) & own[column].notna()].sort_values("edits")
                draw_line(panel, editor, curve["edits"], curve[column], marker="")
                marked = curve[curve["disabled"] == 1]
                panel.scatter(marked["edits"], marked[column], marker="x", s=22, color=look_of(editor).color, zorder=3)
            panel.set(title=f"{title}\n{heading(model, form)}", ylabel=unit)
            if column != "entropy" and (own[column] > 0).any():
                panel.set_yscale("log")
    for panel in axes[-1]:
        panel.set_xlabel("edits one after another")
    legend_below(figure, axes[0, -1], 7)
    return Drawing(figure, frame)


if __name__ == "__main__":
    figure_main(make, __doc__)
