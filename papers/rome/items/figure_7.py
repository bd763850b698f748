"""Figures 7 and 9: average indirect effects by token category and layer, as lines."""

from papers.rome.items.average import draw_effect_lines
from shared.report.item_command import Drawing, Request, figure_main


def make(request: Request) -> Drawing:
    """Draw the average effects with their 95 % bands."""
    return draw_effect_lines(request)


if __name__ == "__main__":
    figure_main(make, __doc__)
