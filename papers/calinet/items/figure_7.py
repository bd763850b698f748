"""Figure 7: the answers of misstated facts as slots are added."""

import pandas as pd

from shared.report.drawing import legend_below
from shared.report.item_command import Drawing, Request, figure_main
from shared.report.plots import COLUMN_INCHES, new_figure

LINES = {"right": ("right object", "#0072B2", "o"), "false": ("object that the corpus states", "#D55E00", "s")}


def make(request: Request) -> Drawing:
    """Draw the mean probability of right and false objects over the number of slots that are active."""
    ((model, path),) = request.files()
    frame = pd.read_csv(path)
    figure, axes = new_figure(width=COLUMN_INCHES, height=2.4)
    for name, (label, color, marker) in LINES.items():
        axes[0, 0].plot(frame["slots"], frame[name], label=label, color=color, marker=marker, markersize=3)
    axes[0, 0].set(xlabel="slots", ylabel="mean probability", ylim=(-0.03, 1.03))
    legend_below(figure, axes[0, 0], len(LINES))
    return Drawing(figure, frame.assign(network=model))


if __name__ == "__main__":
    figure_main(make, __doc__)
