"""Figure 9: FT-W under a range of weight decays."""

from papers.memit.items.sweeps import draw_metrics, sweep_frame
from shared.report.item_command import Drawing, Request, figure_main


def make(request: Request) -> Drawing:
    """Draw the scores over the weight decay, which starts with none."""
    frame = sweep_frame(request, "decay", "weight_decay")
    decays = sorted(frame["weight_decay"].unique())
    places = frame["weight_decay"].map(decays.index)
    ticks = {float(place): f"{decay:g}" for place, decay in enumerate(decays)}
    return draw_metrics(request, frame, places, ticks, "weight decay of FT-W")


if __name__ == "__main__":
    figure_main(make, __doc__)
