"""Figure 3: the effect of a state at the last subject token, as it is and with MLPs or attention severed."""

import pandas as pd

from papers.memit.items.tracing import SEVERED, UNIT, effects_of
from shared.errors import ConfigError
from shared.report.drawing import legend_below, severed_bars
from shared.report.item_command import Drawing, Request, figure_main
from shared.report.plots import PAGE_INCHES, new_figure

GAP = "gap"


def region(layer: int, edited: list[int]) -> str:
    """Return whether the MLPs that follow a layer's state include the edited ones: `before`, `critical` or `after`.

    Severing matters to a state through the MLPs after it, so the state before the first edited layer is the first whose
    effect passes through all of them.
    """
    return "before" if layer < edited[0] - 1 else "critical" if layer < edited[-1] else "after"


def make(request: Request) -> Drawing:
    """Draw the three effects as bars by layer, the edited layers shaded."""
    ((model, path),) = request.files()
    edited = request.settings["layers"]
    frame = effects_of(model, path)
    frame = frame[frame["kind"] == SEVERED].rename(columns={"category": "condition"})
    if frame.empty:
        raise ConfigError(f"{path}: no severed curves; trace with `severed: true`")
    figure, axes = new_figure(width=0.75 * PAGE_INCHES, height=2.4)
    axes[0, 0].axvspan(edited[0] - 0.5, edited[-1] + 0.5, color="#dddddd", zorder=0, linewidth=0)
    severed_bars(axes[0, 0], frame, title="", unit=UNIT)
    legend_below(figure, axes[0, 0], 3)
    bars = frame.pivot(index="layer", columns="condition", values="value")
    gap = pd.DataFrame({"model": model, "kind": SEVERED, "condition": GAP, "layer": bars.index})
    gap = gap.assign(value=(bars["ordinary"] - bars["mlp"]).to_numpy(), n=frame["n"].iloc[0])
    data = pd.concat([frame, gap], ignore_index=True)
    return Drawing(figure, data.assign(region=[region(layer, edited) for layer in data["layer"]]))


if __name__ == "__main__":
    figure_main(make, __doc__)
