"""Figure 6: activation of knowledge neurons in three kinds of sentences, by relation."""

import numpy as np
import pandas as pd

from papers.kn.analysis import ratio_interval
from papers.kn.items.bars import grouped_bars
from papers.kn.items.wording import KINDS
from shared.report.drawing import legend_below
from shared.report.item_command import Drawing, Request, figure_main
from shared.report.plots import PAGE_INCHES, new_figure


def make(request: Request) -> Drawing:
    """Draw mean activations over facts."""
    ((model, path),) = request.files()
    frame = pd.read_csv(path)
    rows = []
    for (relation, kind), facts in frame[frame["set"] == "ig"].groupby(["relation", "kind"], sort=False):
        found = ratio_interval(facts["activation"].to_numpy(float), np.ones(len(facts)))
        rows.append([relation, kind, found.mean, found.low, found.high, found.n])
    data = pd.DataFrame(rows, columns=["relation", "kind", "value", "low", "high", "n"])
    figure, axes = new_figure(width=PAGE_INCHES, height=2.4)
    grouped_bars(axes[0, 0], data, "kind", KINDS)
    axes[0, 0].set(ylabel="mean activation")
    legend_below(figure, axes[0, 0], len(KINDS))
    return Drawing(figure, data.assign(model=model))


if __name__ == "__main__":
    figure_main(make, __doc__)
