"""Figure 5: how methods hold up as the number of facts edited at once grows."""

from papers.memit.items.results import ACCURACIES, PERCENT, SCORES, TEXTS, TITLES, UNITS, results_of
from shared.report.drawing import legend_below
from shared.report.item_command import Drawing, Request, figure_main
from shared.report.plots import PAGE_INCHES, draw_line, new_figure

METRICS = [*SCORES, *ACCURACIES, *TEXTS]


def make(request: Request) -> Drawing:
    """Draw one panel per metric, one line with its 95 % band per method, over the number of edits."""
    frame = results_of(request, METRICS)
    sizes = request.settings["sizes"]
    frame.insert(1, "edits", [sizes[place] for place in frame["run"]])
    frame = frame.drop(columns="run")
    figure, axes = new_figure(3, 3, width=PAGE_INCHES, height=5.6, sharex=True)
    for panel, metric in zip(axes.flat, METRICS, strict=True):
        for method, line in frame[frame["metric"] == metric].groupby("editor", sort=False):
            line = line.sort_values("edits")
            draw_line(panel, method, line["edits"], line["value"], line["low"], line["high"])
        panel.set(title=TITLES[metric], ylabel=UNITS.get(metric, PERCENT), xscale="log")
        panel.set_xticks(sorted(set(sizes)), [str(size) for size in sorted(set(sizes))])
        panel.minorticks_off()
    for panel in axes[-1]:
        panel.set_xlabel("facts edited at once")
    legend_below(figure, axes[0, 0], 5)
    return Drawing(figure, frame)


if __name__ == "__main__":
    figure_main(make, __doc__)
