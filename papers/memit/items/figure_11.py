"""Figure 11: MEMIT in sets of layers, within the critical range and late."""

from papers.memit.items.results import SCORES, grouped_bars, results_of
from shared.report.drawing import legend_below
from shared.report.item_command import Drawing, Request, figure_main
from shared.report.plots import PAGE_INCHES, new_figure

PREFIX = "layers_"


def make(request: Request) -> Drawing:
    """Draw S, ES, PS and NS of each set of layers as bars."""
    frame = results_of(request, SCORES).drop(columns="run")
    frame = frame[frame["editor"].str.startswith(PREFIX)]
    sets = request.settings["sets"]
    groups = {f"{PREFIX}{name}": layers for name, layers in sets.items() if f"{PREFIX}{name}" in set(frame["editor"])}
    figure, axes = new_figure(width=0.8 * PAGE_INCHES, height=2.5)
    grouped_bars(axes[0, 0], frame, groups, SCORES)
    axes[0, 0].set_xlabel("edited layers")
    legend_below(figure, axes[0, 0], len(SCORES))
    return Drawing(figure, frame.assign(layers=frame["editor"].map(groups)))


if __name__ == "__main__":
    figure_main(make, __doc__)
