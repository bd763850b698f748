"""Means over cases with their uncertainty: percentile bootstrap, paired differences, and the authors' normal interval.

The case is the unit that is resampled: probes of one case share an edit and are not independent. Missing values (NaN:
a case without paraphrases, say) are left out of a mean and of its n.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from shared.seeding import seed_for

RESAMPLES = 2000
LEVEL = 0.95
_CHUNK = 4_000_000  # resampled indices held at a time


@dataclass(frozen=True)
class Interval:
    """An estimate over `n` cases with the bounds of its confidence interval, in the unit of the values."""

    mean: float
    low: float
    high: float
    n: int

    @property
    def half_width(self) -> float:
        """Half the length of the interval."""
        return (self.high - self.low) / 2


def bootstrap_means(
    values: Float[np.ndarray, "case metric"], *, seed: int = 0, resamples: int = RESAMPLES
) -> Float[np.ndarray, "resample metric"]:
    """Return the means of all columns over cases drawn with replacement, the same draw for every column.

    A resample that draws no value of a column has NaN there.

    Memory: at most about 4 million resampled indices at a time, whatever the number of cases.
    """
    n = len(values)
    rng = np.random.default_rng(seed_for("bootstrap", seed))
    present = ~np.isnan(values)
    filled = np.where(present, values, 0.0)
    means = np.empty((resamples, values.shape[1]))
    step = max(1, _CHUNK // max(n, 1))
    for start in range(0, resamples, step):
        rows = min(step, resamples - start)
        drawn = rng.integers(0, n, (rows, n)) + n * np.arange(rows)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=rows * n).reshape(rows, n).astype(float)
        totals, seen = counts @ filled, counts @ present
        means[start : start + rows] = np.where(seen > 0, totals / np.maximum(seen, 1), np.nan)
    return means


def percentile_bounds(draws: Float[np.ndarray, " resample"], level: float = LEVEL) -> tuple[float, float]:
    """Return the two bounds that leave `(1 - level) / 2` of the draws outside on either side."""
    tail = 100 * (1 - level) / 2
    low, high = np.nanpercentile(draws, [tail, 100 - tail])
    return float(low), float(high)


def mean_intervals(
    values: Float[np.ndarray, "case metric"], *, seed: int = 0, resamples: int = RESAMPLES, level: float = LEVEL
) -> list[Interval]:
    """Return each column's mean over cases with its percentile-bootstrap interval; a column without values is NaN, n 0.

    Args:
        values: one row per case, NaN where a case has no value.
        seed: resampling seed; equal seeds give equal intervals.
        resamples: number of bootstrap samples.
        level: confidence level.
    """
    intervals = []
    counted = (~np.isnan(values)).sum(0)
    draws = bootstrap_means(values, seed=seed, resamples=resamples) if len(values) else None
    for column, n in enumerate(counted):
        if n == 0:
            intervals.append(Interval(np.nan, np.nan, np.nan, 0))
            continue
        low, high = percentile_bounds(draws[:, column], level)
        intervals.append(Interval(float(np.nanmean(values[:, column])), low, high, int(n)))
    return intervals


def mean_interval(
    values: Float[np.ndarray, " case"], *, seed: int = 0, resamples: int = RESAMPLES, level: float = LEVEL
) -> Interval:
    """Return the mean over cases with its percentile-bootstrap interval, as `mean_intervals` does for one column."""
    return mean_intervals(np.asarray(values, float)[:, None], seed=seed, resamples=resamples, level=level)[0]


def harmonic_mean(means: Float[np.ndarray, "*draw part"]) -> Float[np.ndarray, "*draw"]:
    """Return the harmonic mean over the last axis: 0 where a part is 0, NaN where a part is missing or negative.

    The Score of CounterFact is the harmonic mean of ES, PS and NS (ROME, §3.4).
    """
    means = np.asarray(means, float)
    usable = np.where(means > 0, means, 1.0)
    value = means.shape[-1] / (1 / usable).sum(-1)
    value = np.where((means == 0).any(-1), 0.0, value)
    return np.where((np.isnan(means) | (means < 0)).any(-1), np.nan, value)


def harmonic_mean_interval(
    values: Float[np.ndarray, "case part"], *, seed: int = 0, resamples: int = RESAMPLES, level: float = LEVEL
) -> Interval:
    """Return the harmonic mean of the columns' means with its bootstrap interval; NaN if a column has no value.

    n counts the cases that have a value in every column; each column's mean is over all cases that have one there.
    """
    values = np.asarray(values, float)
    present = ~np.isnan(values)
    if not len(values) or not present.any(0).all():
        return Interval(np.nan, np.nan, np.nan, 0)
    draws = harmonic_mean(bootstrap_means(values, seed=seed, resamples=resamples))
    low, high = percentile_bounds(draws, level)
    return Interval(float(harmonic_mean(np.nanmean(values, axis=0))), low, high, int(present.all(1).sum()))


def paired_difference(
    ours: Float[np.ndarray, " case"],
    theirs: Float[np.ndarray, " same"],
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> Interval:
    """Return the mean of `ours - theirs` over the cases that both have, with its bootstrap interval.

    Args:
        ours, theirs: values of two methods, in the same order of cases.

    Raises:
        ValueError: the two have different lengths.
    """
    ours, theirs = np.asarray(ours, float), np.asarray(theirs, float)
    if ours.shape != theirs.shape:
        raise ValueError(f"paired values have shapes {ours.shape} and {theirs.shape}; align them by case first")
    return mean_interval(ours - theirs, seed=seed, resamples=resamples, level=level)


def normal_half_width(values: Float[np.ndarray, " case"]) -> float:
    """Return 1.96 · population standard deviation / √n, the half width that ROME's tables print.

    The authors divide by the full size of the data set; here n counts the cases that have a value.
    """
    values = np.asarray(values, float)
    values = values[~np.isnan(values)]
    return float(1.96 * values.std() / np.sqrt(len(values))) if len(values) else float("nan")
