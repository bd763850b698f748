"""Figure 3 (2022): greatest, mean and least sub-update score at events, by layer."""

import pandas as pd

from papers.ffn_memories.items.estimates import means
from shared.report.drawing import integer_ticks, legend_below
from shared.report.item_command import Drawing, Request, figure_main
from shared.report.plots import PAGE_INCHES, draw_line, new_figure

LOOKS = {"max": ("greatest", "#009E73", "^"), "mean": ("mean", "#0072B2", "o"), "min": ("least", "#D55E00", "v")}
FEWEST = 5


def make(request: Request) -> Drawing:
    """Draw dominant sub-updates only, for layers with at least five events."""
    ((model, path),) = request.files()
    frame = pd.read_csv(path)
    own = frame[frame["sub_updates"] == "dominant"]
    data = pd.concat([means(own, ["event", "layer"], score).assign(score=score) for score in LOOKS], ignore_index=True)
    data = data[data["n"] >= FEWEST]
    figure, axes = new_figure(1, 2, width=PAGE_INCHES, height=2.3)
    for panel, event in zip(axes[0], ("saturation", "elimination"), strict=True):
        part = data[data["event"] == event]
        for score, (title, color, marker) in LOOKS.items():
            line = part[part["score"] == score].sort_values("layer")
            look = {"label": title, "color": color, "marker": marker, "linestyle": "-"}
            draw_line(panel, score, line["layer"], line["value"], line["low"], line["high"], **look)
        panel.axhline(0, color="#bbbbbb", linewidth=0.6)
        panel.set(title=event, xlabel="layer", ylabel="score of the token")
        integer_ticks(panel.xaxis, max(2, part["layer"].nunique()))
    legend_below(figure, axes[0, 0], len(LOOKS))
    return Drawing(figure, data.assign(model=model))


if __name__ == "__main__":
    figure_main(make, __doc__)
