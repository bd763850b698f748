"""Figure 13: MEMIT under a range of weights λ of the second moment."""

import numpy as np

from papers.memit.items.sweeps import draw_metrics, sweep_frame
from shared.report.item_command import Drawing, Request, figure_main


def make(request: Request) -> Drawing:
    """Draw the scores over λ, on a logarithmic axis."""
    frame = sweep_frame(request, "weight", "update_weight")
    frame.insert(2, "log10_weight", np.log10(frame["update_weight"]))
    weights = sorted(frame["update_weight"].unique())
    ticks = {float(np.log10(weight)): f"{weight:g}" for weight in weights}
    return draw_metrics(request, frame, frame["log10_weight"], ticks, "weight λ of the second moment")


if __name__ == "__main__":
    figure_main(make, __doc__)
