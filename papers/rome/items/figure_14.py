"""Figures 14 and 15: severed traces of single facts."""

from papers.rome.items.traces import draw_severed
from shared.report.item_command import Drawing, Request, figure_main


def make(request: Request) -> Drawing:
    """Draw the effect of restoring one state, with and without attention and MLPs severed."""
    return draw_severed(request)


if __name__ == "__main__":
    figure_main(make, __doc__)
