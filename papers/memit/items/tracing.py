"""Average causal effects, which ROME's tracing measures: what Figures 3 and 8 share."""

from pathlib import Path

import pandas as pd

from shared.report.editing_results import read_csv

SEVERED = "severed"
UNIT = "AIE (percent)"


def effects_of(model: str, path: Path) -> pd.DataFrame:
    """Return the average effects of a tracing run (percent): model, kind, category, layer, value, low, high, n."""
    frame = read_csv(path, ["kind", "category", "layer", "value", "low", "high", "n"])
    frame.insert(0, "model", model)
    return frame
