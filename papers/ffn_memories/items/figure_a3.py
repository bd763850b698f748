"""Figure 3 (2021): how a key's response changes without the first, the last or a random token."""

import pandas as pd

from papers.ffn_memories.items.estimates import means
from shared.report.drawing import integer_ticks, legend_below
from shared.report.item_command import Drawing, Request, figure_main
from shared.report.plots import COLUMN_INCHES, draw_line, new_figure

LOOKS = {"first": ("#56B4E9", "v"), "last": ("#D55E00", "o"), "random": ("#999999", "s")}


def make(request: Request) -> Drawing:
    """Draw one line per removed token with its 95 % band over keys."""
    ((model, path),) = request.files()
    data = means(pd.read_csv(path), ["removed", "layer"], "change")
    figure, axes = new_figure(width=COLUMN_INCHES, height=2.4)
    panel = axes[0, 0]
    for name, (color, marker) in LOOKS.items():
        own = data[data["removed"] == name].sort_values("layer")
        look = {"label": f"{name} token removed", "color": color, "marker": marker, "linestyle": "-"}
        draw_line(panel, name, own["layer"], own["value"], own["low"], own["high"], **look)
    panel.axhline(0, color="#bbbbbb", linewidth=0.6)
    panel.set(xlabel="layer", ylabel="change of the key's response, %")
    integer_ticks(panel.xaxis, data["layer"].nunique())
    legend_below(figure, panel, 2)
    return Drawing(figure, data.assign(model=model))


if __name__ == "__main__":
    figure_main(make, __doc__)
