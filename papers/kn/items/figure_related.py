"""Related and unrelated facts: a fact's own neurons changed, and those of a fact of another relation."""

import pandas as pd

from papers.kn.analysis import change_by_relation
from papers.kn.items.bars import grouped_bars
from papers.kn.items.wording import CHANGES, SETS
from shared.report.drawing import legend_below
from shared.report.item_command import Drawing, Request, figure_main
from shared.report.plots import PAGE_INCHES, new_figure

SHOWN = ("ig", "other")


def make(request: Request) -> Drawing:
    """Draw both changes by relation, as the re-implementation's figures do."""
    ((model, path),) = request.files()
    frame = change_by_relation(pd.read_csv(path))
    frame = frame[frame["set"].isin(SHOWN)]
    figure, axes = new_figure(2, 1, width=PAGE_INCHES, height=3.8, sharex=True)
    for panel, (change, words) in zip(axes[:, 0], CHANGES.items(), strict=True):
        grouped_bars(panel, frame[frame["change"] == change], "set", {name: SETS[name] for name in SHOWN})
        panel.set(title=f"neurons {words}", ylabel="change, %")
    legend_below(figure, axes[0, 0], len(SHOWN))
    return Drawing(figure, frame.assign(model=model))


if __name__ == "__main__":
    figure_main(make, __doc__)
