"""Figure 10: mean over facts of the largest restored fraction at each layer, by window."""

from papers.localization.items.chosen import FRACTION, select
from shared.report.drawing import integer_ticks, legend_below
from shared.report.editing_results import read_csv
from shared.report.item_command import Drawing, Request, figure_main
from shared.report.plots import COLUMN_INCHES, draw_line, new_figure

LOOKS = [("#0072B2", "o", "-"), ("#56B4E9", "s", "-"), ("#E69F00", "^", "-"), ("#D55E00", "D", "-")]


def make(request: Request) -> Drawing:
    """Draw one line per window with its 95 % band; as in the paper, over facts with a positive effect (quirk Q8)."""
    ((model, path),) = request.files()
    frame = read_csv(path, ["effect", "window", "layer", "value", "low", "high", "n"])
    data = select(frame, {"effect": FRACTION})
    figure, axes = new_figure(1, 1, width=COLUMN_INCHES, height=2.7)
    for (window, line), (color, marker, style) in zip(data.groupby("window"), LOOKS, strict=False):
        look = {"label": f"window of {window}", "color": color, "marker": marker, "linestyle": style}
        draw_line(axes[0, 0], str(window), line["layer"], line["value"], line["low"], line["high"], **look)
    integer_ticks(axes[0, 0].xaxis, data["layer"].nunique())
    axes[0, 0].set(xlabel="layer", ylabel="largest fraction restored, mean")
    legend_below(figure, axes[0, 0], 2)
    return Drawing(figure, data.assign(model=model))


if __name__ == "__main__":
    figure_main(make, __doc__)
