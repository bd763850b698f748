"""Figures 17 and 18: fine-tuning at every layer under several norm constraints, on the main and the second model."""

from collections.abc import Sequence

import pandas as pd

from shared.report.editing_results import MAGNITUDES, SCORES
from shared.report.item_command import Drawing, Request, figure_main
from shared.report.sweeps import Looks, draw_sweep, frame_of

# Okabe and Ito's colours, from the tightest constraint to none.
COLORS = ("#0072B2", "#56B4E9", "#009E73", "#E69F00", "#D55E00", "#CC79A7")
MARKERS = ("o", "s", "^", "D", "v", "P")


def constraint_looks(values: Sequence[float | None]) -> Looks:
    """Return a look for each norm constraint, the tightest first, no constraint last and dashed."""
    bounded = sorted(value for value in values if value is not None)
    looks = {f"{value:g}": (COLORS[place], MARKERS[place], "-") for place, value in enumerate(bounded)}
    return looks | {"none": ("#333333", "x", "--")}


def make(request: Request) -> Drawing:
    """Draw scores and magnitudes by fine-tuned layer, one line per norm constraint."""
    frame = frame_of(request, [*SCORES, *MAGNITUDES])
    constraints = [None if pd.isna(value) else value for value in frame["norm_constraint"].unique()]
    frame["constraint"] = [("none" if pd.isna(value) else f"{value:g}") for value in frame["norm_constraint"]]
    return draw_sweep(
        request,
        frame.drop(columns="norm_constraint"),
        [*SCORES, *MAGNITUDES],
        rows=2,
        x="layer",
        series="constraint",
        looks=constraint_looks(constraints),
        legend_columns=6,
        height=4.4,
        legend_title="largest change of a weight",
    )


if __name__ == "__main__":
    figure_main(make, __doc__)
