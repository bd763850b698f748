"""Figure 5: amplifying neurons, by relation."""

from papers.kn.items.bars import draw_change
from shared.report.item_command import Drawing, Request, figure_main


def make(request: Request) -> Drawing:
    """Draw knowledge neurons beside the activation baseline and random neurons."""
    return draw_change(request, "amplify", ("ig", "activation", "random"))


if __name__ == "__main__":
    figure_main(make, __doc__)
