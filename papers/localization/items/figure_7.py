"""Figure 7: mean scores by edited layer (also Figures 8 and 9)."""

from papers.localization.items.chosen import COLUMNS, EDITORS, select
from papers.localization.problems import PROBLEMS
from shared.report.drawing import integer_ticks, legend_below
from shared.report.editing_results import read_csv
from shared.report.item_command import Drawing, Request, figure_main
from shared.report.plots import PAGE_INCHES, draw_line, new_figure


def make(request: Request) -> Drawing:
    """Draw a panel per score and a line per editor, with 95 % bands over facts."""
    ((model, path),) = request.files()
    columns, problem = request.settings["scores"], request.settings["problem"]
    means = read_csv(path, ["problem", "editor", "metric", "layer", "value", "low", "high", "n"])
    frame = select(means, {"problem": problem, "metric": columns})
    width = PAGE_INCHES * min(1.0, 0.2 + 0.4 * len(columns))
    figure, axes = new_figure(1, len(columns), width=width, height=2.4)
    for panel, column in zip(axes[0], columns, strict=True):
        shown = frame[frame["metric"] == column]
        for editor in EDITORS:
            line = shown[shown["editor"] == editor]
            if len(line):
                draw_line(panel, editor, line["layer"], line["value"], line["low"], line["high"])
        integer_ticks(panel.xaxis, 10)
        panel.set(title=COLUMNS[column], xlabel="edited layer")
    axes[0, 0].set_ylabel(f"mean score, {PROBLEMS[problem].title}")
    legend_below(figure, axes[0, 0], 4)
    return Drawing(figure, frame.assign(model=model, metric=frame["metric"].map(COLUMNS)))


if __name__ == "__main__":
    figure_main(make, __doc__)
