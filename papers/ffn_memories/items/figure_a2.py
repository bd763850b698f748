"""Figure 2 (2021): how many trigger examples fall under shallow and semantic patterns, by layer."""

import pandas as pd

from papers.ffn_memories.items.estimates import means
from shared.report.drawing import integer_ticks, legend_below
from shared.report.item_command import Drawing, Request, figure_main
from shared.report.plots import PAGE_INCHES, new_figure

LOOKS = {"shallow": "#E69F00", "both": "#009E73", "semantic": "#0072B2", "not covered": "#CCCCCC"}
TITLES = {"trigger": "trigger examples", "random": "random prefixes"}


def make(request: Request) -> Drawing:
    """Draw stacked bars, beside those of random prefixes."""
    ((model, path),) = request.files()
    frame = pd.read_csv(path)
    parts = [means(frame, ["examples", "layer"], name).assign(pattern=name) for name in LOOKS]
    data = pd.concat(parts, ignore_index=True)
    figure, axes = new_figure(1, 2, width=PAGE_INCHES, height=2.3, sharey=True)
    for panel, (kind, title) in zip(axes[0], TITLES.items(), strict=True):
        own, bottom = data[data["examples"] == kind], 0.0
        for name, color in LOOKS.items():
            bars = own[own["pattern"] == name].sort_values("layer")
            panel.bar(bars["layer"], 100 * bars["value"], 0.8, bottom=bottom, color=color, label=name)
            bottom = bottom + 100 * bars["value"].to_numpy()
        panel.set(title=title, xlabel="layer")
        integer_ticks(panel.xaxis, own["layer"].nunique())
    axes[0, 0].set_ylabel("examples, %")
    legend_below(figure, axes[0, 0], len(LOOKS))
    return Drawing(figure, data.assign(model=model))


if __name__ == "__main__":
    figure_main(make, __doc__)
