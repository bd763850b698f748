"""Figure 2 (2022): how many of the values' best tokens belong to a concept, by layer."""

import pandas as pd

from papers.ffn_memories.items.estimates import means
from shared.report.drawing import integer_ticks, legend_below
from shared.report.item_command import Drawing, Request, figure_main
from shared.report.plots import COLUMN_INCHES, draw_line, new_figure

LOOKS = {"value": ("values", "#0072B2", "o"), "random": ("random vectors", "#999999", "s")}
TOP = 30


def make(request: Request) -> Drawing:
    """Draw the share for values and for random vectors with 95 % bands."""
    ((model, path),) = request.files()
    frame = pd.read_csv(path, keep_default_na=False)
    frame = frame.assign(share=100 * frame["count"] / TOP)
    parts = [means(frame, ["vector", "layer"], "share").assign(layers="each")]
    parts.append(means(frame, ["vector"], "share").assign(layers="all"))
    figure, axes = new_figure(width=COLUMN_INCHES, height=2.4)
    for name, (title, color, marker) in LOOKS.items():
        own = parts[0][parts[0]["vector"] == name].sort_values("layer")
        look = {"label": title, "color": color, "marker": marker, "linestyle": "-"}
        draw_line(axes[0, 0], name, own["layer"], own["value"], own["low"], own["high"], **look)
    axes[0, 0].set(xlabel="layer", ylabel="best tokens of a concept, %")
    axes[0, 0].set_ylim(bottom=0)
    integer_ticks(axes[0, 0].xaxis, frame["layer"].nunique())
    legend_below(figure, axes[0, 0], 2)
    return Drawing(figure, pd.concat(parts, ignore_index=True).assign(model=model))


if __name__ == "__main__":
    figure_main(make, __doc__)
