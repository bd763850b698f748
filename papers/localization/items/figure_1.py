"""Figure 1: where causal tracing peaks, and the mean effect at the subject's last token."""

import numpy as np
import pandas as pd

from papers.localization.items.chosen import select
from papers.localization.items.peaks import draw_peaks, peaks_of
from shared.report.drawing import integer_ticks
from shared.report.editing_results import read_csv
from shared.report.item_command import Drawing, Request, figure_main
from shared.report.plots import new_figure


def make(request: Request) -> Drawing:
    """Count the facts whose strongest cell lies at each layer; beside it, mean positive effects at the last token."""
    (model, _), _ = request.files()
    peaks, means = request.inputs
    figure, axes = new_figure(1, 2, height=2.1)
    window = request.settings["window"]
    frame = read_csv(means, ["effect", "window", "layer", "value", "low", "high", "n"])
    effect = select(frame, {"effect": "last_subject_effect", "window": window})
    layers = range(int(frame["layer"].max()) + 1)
    counts = peaks_of(peaks, window, layers)
    draw_peaks(axes[0, 0], counts, request.settings, title=f"strongest cell, MLP window of {window}", marked=True)
    panel = axes[0, 1]
    panel.bar(effect["layer"], effect["value"], color="#238B45", width=0.8)
    spread = np.abs(effect[["low", "high"]].to_numpy().T - effect["value"].to_numpy())
    panel.errorbar(effect["layer"], effect["value"], spread, fmt="none", ecolor="#333333", elinewidth=0.6, capsize=1)
    integer_ticks(panel.xaxis, len(layers))
    panel.set(title="effect at the subject's last token", xlabel="layer", ylabel="probability restored")
    shares = counts.assign(panel="peaks"), effect.assign(panel="last subject token"), _outside(counts, request)
    return Drawing(figure, pd.concat(shares).assign(model=model, window=window))


def _outside(counts: pd.DataFrame, request: Request) -> pd.DataFrame:
    """Return, as one line of panel `outside`, the share of all counts that lie outside the layers that MEMIT edits."""
    first, last = request.settings["memit_layers"]
    inside = counts[counts["layer"].between(first, last)]["value"].sum()
    whole = max(int(counts["value"].sum()), 1)
    return pd.DataFrame([{"panel": "outside", "value": 1 - inside / whole, "n": counts["n"].iloc[0]}])


if __name__ == "__main__":
    figure_main(make, __doc__)
