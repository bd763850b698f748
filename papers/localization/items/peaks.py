"""Histograms of the layers where causal tracing peaks: what Figures 1 and 11 share."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from shared.report.drawing import integer_ticks
from shared.report.editing_results import read_csv
from shared.report.plots import look_of


def peaks_of(path: str | Path, window: int, layers: Sequence[int]) -> pd.DataFrame:
    """Return how many facts peak at each layer with windows of that size.

    Columns: layer, value (facts; one with ties counts at each), share (of all facts with a peak), n (those facts).
    """
    frame = read_csv(path, ["case_id", "window", "layer"])
    chosen = frame[frame["window"] == window]
    counts = chosen["layer"].value_counts().reindex(list(layers), fill_value=0)
    facts = chosen["case_id"].nunique()
    share = counts.to_numpy() / max(facts, 1)
    return pd.DataFrame({"layer": list(layers), "value": counts.to_numpy(), "share": share, "n": facts})


def draw_peaks(axes: Axes, counts: pd.DataFrame, settings: Mapping[str, Any], *, title: str, marked: bool) -> None:
    """Draw one histogram; where marked, with the layer that ROME edits and those that MEMIT edits.

    Args:
        settings: `layer`, ROME's, and `memit_layers`, first and last.
    """
    first, last = settings["memit_layers"]
    if marked:
        axes.axvspan(
            first - 0.5, last + 0.5, color=look_of("memit").color, alpha=0.15, linewidth=0, label="MEMIT edits"
        )
        axes.axvline(settings["layer"], color="#D55E00", linewidth=1.2, label="ROME edits")
    axes.bar(counts["layer"], counts["value"], color="#777777", width=0.8)
    if marked:
        axes.legend()
    integer_ticks(axes.xaxis, len(counts))
    axes.set(title=title, xlabel="layer", ylabel="facts")
