"""Figures 4, 5 and 6 (2021): values that predict what follows their keys' trigger examples."""

import numpy as np
import pandas as pd

from papers.ffn_memories.items.estimates import means, spread
from shared.report.drawing import integer_ticks
from shared.report.item_command import Drawing, Request, figure_main
from shared.report.plots import PAGE_INCHES, new_figure

BINS = 8
LAYERS, LAST, RANKS, PROBABILITY = "agreement", "agreement with the last token", "rank", "agreement by probability"


def make(request: Request) -> Drawing:
    """Draw agreement by layer, ranks by layer, and agreement by the value's greatest probability."""
    ((model, path),) = request.files()
    frame = pd.read_csv(path, keep_default_na=False)
    percent = frame.assign(agrees=100 * frame["agrees"], agrees_last=100 * frame["agrees_last"])
    by_layer = means(percent, ["layer"], "agrees")
    last = means(percent, ["layer"], "agrees_last")
    edges = np.quantile(frame["probability"], np.linspace(0, 1, BINS + 1))
    place = np.clip(np.searchsorted(edges, frame["probability"], side="right") - 1, 0, BINS - 1)
    by_bin = means(percent.assign(bin=place), ["bin"], "agrees").sort_values("bin")
    ranks = frame.groupby("layer")["rank"].quantile([0.25, 0.5, 0.75]).unstack()
    figure, axes = new_figure(1, 3, width=PAGE_INCHES, height=2.3)
    axes[0, 0].bar(
        by_layer["layer"], by_layer["value"], 0.8, yerr=spread(by_layer), color="#0072B2", error_kw={"lw": 0.6}
    )
    axes[0, 0].set(title="Figure 4", xlabel="layer", ylabel="value's best token is next, %")
    boxes = [frame.loc[frame["layer"] == layer, "rank"] for layer in ranks.index]
    axes[0, 1].boxplot(boxes, positions=list(ranks.index), showfliers=False, widths=0.6, manage_ticks=False)
    axes[0, 1].set(title="Figure 5", xlabel="layer", ylabel="rank of the next token")
    axes[0, 2].bar(by_bin["bin"], by_bin["value"], 0.8, yerr=spread(by_bin), color="#0072B2", error_kw={"lw": 0.6})
    labels = [f"{edges[int(at) + 1]:.2g}" for at in by_bin["bin"]]
    axes[0, 2].set_xticks(by_bin["bin"], labels, rotation=90)
    axes[0, 2].set(title="Figure 6", xlabel="greatest probability, up to", ylabel="agreement, %")
    for panel in axes[0, :2]:
        integer_ticks(panel.xaxis, len(ranks))
    median = ranks[0.5].reset_index().set_axis(["layer", "value"], axis=1)
    parts = {LAYERS: by_layer, LAST: last, RANKS: median, PROBABILITY: by_bin.rename(columns={"bin": "layer"})}
    data = pd.concat([part.assign(metric=name) for name, part in parts.items()], ignore_index=True)
    return Drawing(figure, data.assign(model=model))


if __name__ == "__main__":
    figure_main(make, __doc__)
