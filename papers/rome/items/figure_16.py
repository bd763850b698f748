"""Figure 16: integrated gradients of single facts."""

from papers.rome.items.traces import draw_maps
from shared.report.item_command import Drawing, Request, figure_main


def make(request: Request) -> Drawing:
    """Draw the norm of the attribution to each token and layer."""
    return draw_maps(request, "gradients", "‖IG‖ of p({answer})")


if __name__ == "__main__":
    figure_main(make, __doc__)
