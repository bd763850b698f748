"""Figure 23: AttnEdit under a range of norm constraints."""

import numpy as np
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter

from shared.report.editing_results import MAGNITUDES, SCORES
from shared.report.item_command import Drawing, Request, figure_main
from shared.report.plots import look_of
from shared.report.sweeps import draw_sweep, frame_of

MOST_TICKS = 4


def _spread_ticks(values: np.ndarray) -> list[float]:
    """Return those of the values that lie nearest to evenly spread places of a logarithmic axis."""
    places = np.geomspace(values.min(), values.max(), MOST_TICKS)
    return sorted({float(values[np.abs(np.log(values / place)).argmin()]) for place in places})


def make(request: Request) -> Drawing:
    """Draw scores and magnitudes over the largest change that AttnEdit may make to a weight."""
    metrics = [*SCORES, *MAGNITUDES]
    frame = frame_of(request, metrics).rename(columns={"norm_constraint": "constraint"})
    look = look_of("attn_edit")
    frame["method"] = look.title
    drawing = draw_sweep(
        request,
        frame,
        metrics,
        rows=2,
        x="constraint",
        series="method",
        looks={look.title: (look.color, look.marker, "-")},
        legend_columns=2,
        height=4.0,
    )
    ticks = _spread_ticks(frame["constraint"].unique())
    for panel in drawing.figure.axes:
        panel.set_xscale("log")
        panel.xaxis.set_major_locator(FixedLocator(ticks))
        panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        panel.xaxis.set_minor_formatter(NullFormatter())
    for panel in drawing.figure.axes[3:]:
        panel.set_xlabel("largest change of a weight")
    return drawing


if __name__ == "__main__":
    figure_main(make, __doc__)
