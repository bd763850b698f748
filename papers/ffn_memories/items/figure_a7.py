"""Figures 7 to 11 (2021) and Figure 4 (2022): how layers aggregate memories and residuals refine predictions."""

import pandas as pd
from matplotlib.axes import Axes

from papers.ffn_memories.items.estimates import spread
from shared.report.drawing import integer_ticks, legend_below
from shared.report.item_command import Drawing, Request, figure_main
from shared.report.plots import PAGE_INCHES, new_figure

STACKED = {"residual": "#0072B2", "agreement": "#009E73", "composition": "#E69F00", "ffn": "#D55E00"}
PANELS = {
    "active": "Figure 7: active keys, %",
    "zero_agreement": "Figure 8: no value agrees, %",
    "final": "Figure 9: residual is final, %",
    "probability": "Figure 10: p(final) of the residual",
    "breakdown": "Figure 11: output is that of, %",
    "dominant": "2022, Figure 4: top ten's share, %",
}
BOXES = {"active", "probability"}


def _draw(panel: Axes, name: str, frame: pd.DataFrame) -> None:
    factor = 1 if name == "probability" else 100
    if name == "breakdown":
        bottom = 0.0
        for part, color in STACKED.items():
            own = factor * frame.loc[frame["metric"] == part].sort_values("layer")["value"].to_numpy()
            panel.bar(sorted(set(frame["layer"])), own, 0.8, bottom=bottom, color=color, label=part)
            bottom = bottom + own
        return
    own = frame[frame["metric"] == name].sort_values("layer")
    if name in BOXES:
        quarters = [factor * own[one] for one in ("low_quarter", "median", "high_quarter")]
        panel.bar(
            own["layer"], quarters[2] - quarters[0], 0.6, bottom=quarters[0], color="#A6CEE3", edgecolor="#333333"
        )
        panel.plot(own["layer"], quarters[1], "_", color="#D55E00", markersize=8)
    else:
        panel.bar(
            own["layer"], factor * own["value"], 0.8, yerr=factor * spread(own), color="#0072B2", error_kw={"lw": 0.6}
        )


def make(request: Request) -> Drawing:
    """Draw one panel per figure; boxes are quartiles over sentences, bars means with their 95 % intervals."""
    ((model, path),) = request.files()
    frame = pd.read_csv(path)
    figure, axes = new_figure(2, 3, width=PAGE_INCHES, height=4.0, sharex=True)
    for panel, (name, title) in zip(axes.flat, PANELS.items(), strict=True):
        _draw(panel, name, frame)
        panel.set_title(title)
        integer_ticks(panel.xaxis, frame["layer"].nunique())
    for panel in axes[1]:
        panel.set_xlabel("layer")
    legend_below(figure, axes.flat[list(PANELS).index("breakdown")], len(STACKED))
    return Drawing(figure, frame.assign(model=model))


if __name__ == "__main__":
    figure_main(make, __doc__)
