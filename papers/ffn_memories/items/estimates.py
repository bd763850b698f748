"""Means by group with their intervals, which all items share."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from shared.measures.intervals import mean_interval

ESTIMATE = ["value", "low", "high", "n"]


def means(frame: pd.DataFrame, by: Sequence[str], column: str) -> pd.DataFrame:
    """Return the mean of a column in each group with its 95 % interval over the group's rows."""
    rows = []
    for group, own in frame.groupby(list(by), sort=False):
        found = mean_interval(own[column].to_numpy(float))
        rows.append([*group, found.mean, found.low, found.high, found.n])
    return pd.DataFrame(rows, columns=[*by, *ESTIMATE])


def spread(frame: pd.DataFrame) -> np.ndarray:
    """Return the lengths of the error bars below and above each value."""
    return np.abs(np.array([frame["value"] - frame["low"], frame["high"] - frame["value"]]))
