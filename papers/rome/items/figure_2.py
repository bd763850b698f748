"""Figures 2, 8 and 13: average indirect effects by token category and layer, as heat maps."""

from papers.rome.items.average import draw_effect_maps
from shared.report.item_command import Drawing, Request, figure_main


def make(request: Request) -> Drawing:
    """Draw the average effect of restoring states, MLP windows and attention windows."""
    return draw_effect_maps(request)


if __name__ == "__main__":
    figure_main(make, __doc__)
