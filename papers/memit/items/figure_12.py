"""Figure 12: MEMIT's update in attention instead of MLPs, in early and in late layers."""

from papers.memit.items.results import SCORES, grouped_bars, results_of
from shared.report.drawing import legend_below
from shared.report.item_command import Drawing, Request, figure_main
from shared.report.plots import PAGE_INCHES, new_figure

SITES = {"layers": "MLP", "attention": "attention"}
SETS = ("all", "late")


def make(request: Request) -> Drawing:
    """Draw S, ES, PS and NS of both sites, early and late, as bars."""
    frame = results_of(request, SCORES).drop(columns="run")
    layers = request.settings["sets"]
    groups = {f"{site}_{name}": f"{title}\n{layers[name]}" for name in SETS for site, title in SITES.items()}
    frame = frame[frame["editor"].isin(groups)]
    figure, axes = new_figure(width=0.8 * PAGE_INCHES, height=2.6)
    grouped_bars(axes[0, 0], frame, groups, SCORES)
    axes[0, 0].set_xlabel("edited site and layers")
    legend_below(figure, axes[0, 0], len(SCORES))
    site = frame["editor"].str.split("_").str[0].map(SITES)
    return Drawing(figure, frame.assign(site=site, layers=frame["editor"].str.split("_").str[1].map(layers)))


if __name__ == "__main__":
    figure_main(make, __doc__)
