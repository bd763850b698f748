"""Figures 1, 10, 11 and 12: causal traces of single facts."""

from papers.rome.items.traces import draw_maps
from shared.report.item_command import Drawing, Request, figure_main


def make(request: Request) -> Drawing:
    """Draw the probability of the answer after restoring each token and layer."""
    return draw_maps(request, "scores", "p({answer})")


if __name__ == "__main__":
    figure_main(make, __doc__)
