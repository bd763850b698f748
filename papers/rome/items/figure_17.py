"""Figures 17 and 18: fine-tuning at every layer under several norm constraints, on the main and the second model."""

import pandas as pd

from papers.rome.items.command import Drawing, Request, figure_main
from papers.rome.items.results import MAGNITUDES, SCORES
from papers.rome.items.sweeps import constraint_looks, draw_sweep, frame_of


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
