"""Intervals cover what they should, agree with theory and with a plain loop, and depend on nothing but the seed."""

import numpy as np
import pytest

from shared.measures import intervals
from shared.measures.intervals import (
    bootstrap_means,
    harmonic_mean,
    harmonic_mean_interval,
    mean_interval,
    mean_intervals,
    normal_half_width,
    paired_difference,
)

NAN = float("nan")


def test_constant_values_have_no_width():
    interval = mean_interval(np.full(7, 0.25))
    assert (interval.mean, interval.low, interval.high, interval.n) == (0.25, 0.25, 0.25, 7)
    assert interval.half_width == 0


def test_agrees_with_the_normal_interval_for_many_cases():
    values = np.random.default_rng(0).random(4000)
    interval = mean_interval(values, resamples=4000)
    assert interval.mean == pytest.approx(values.mean())
    assert interval.half_width == pytest.approx(normal_half_width(values), rel=0.05)
    assert interval.mean - interval.low == pytest.approx(interval.high - interval.mean, rel=0.1)


def test_normal_half_width_by_hand():
    assert normal_half_width(np.array([0.0, 1.0, 1.0, NAN, 0.0])) == pytest.approx(1.96 * 0.5 / 2)
    assert np.isnan(normal_half_width(np.array([NAN])))


def test_covers_the_true_mean_at_its_level():
    rng = np.random.default_rng(1)
    hits = 0
    for trial in range(300):
        interval = mean_interval((rng.random(60) < 0.3).astype(float), seed=trial, resamples=400, level=0.9)
        hits += interval.low <= 0.3 <= interval.high
    assert 0.85 <= hits / 300 <= 0.95


def test_seeded_and_chunked(monkeypatch):
    values = np.random.default_rng(2).random((50, 2))
    whole = bootstrap_means(values, seed=5, resamples=40)
    assert np.array_equal(whole, bootstrap_means(values, seed=5, resamples=40))
    assert not np.array_equal(whole, bootstrap_means(values, seed=6, resamples=40))
    monkeypatch.setattr(intervals, "_CHUNK", 130)
    assert np.allclose(whole, bootstrap_means(values, seed=5, resamples=40))


def test_columns_share_their_draws():
    column = np.random.default_rng(3).random(30)
    means = bootstrap_means(np.stack([column, 2 * column], axis=1), resamples=20)
    assert np.allclose(means[:, 1], 2 * means[:, 0])
    assert means.std(0).min() > 0


def test_missing_values_are_left_out():
    values = np.array([[1.0, NAN, NAN], [3.0, 5.0, NAN], [NAN, 5.0, NAN]])
    first, second, third = mean_intervals(values)
    assert (first.mean, first.n) == (2.0, 2)
    assert 1 <= first.low <= first.high <= 3
    assert (second.mean, second.low, second.high, second.n) == (5.0, 5.0, 5.0, 2)
    assert third.n == 0
    assert np.isnan(third.mean)
    assert mean_intervals(np.empty((0, 2)))[1].n == 0


@pytest.mark.parametrize(
    ("means", "expected"),
    [([1.0, 1.0, 1.0], 1.0), ([1.0, 0.5, 0.25], 3 / 7), ([0.0, 1.0, 1.0], 0.0), ([NAN, 1.0, 1.0], NAN)],
)
def test_harmonic_mean_by_hand(means, expected):
    assert harmonic_mean(np.array(means)) == pytest.approx(expected, nan_ok=True)
    assert harmonic_mean(np.array([means] * 2)).shape == (2,)


def test_harmonic_mean_interval():
    rng = np.random.default_rng(4)
    values = rng.random((200, 3)) < [0.9, 0.8, 0.5]
    interval = harmonic_mean_interval(values.astype(float))
    assert interval.mean == pytest.approx(harmonic_mean(values.mean(0)))
    assert interval.low < interval.mean < interval.high
    draws = [harmonic_mean(values[rng.integers(0, 200, 200)].mean(0)) for _ in range(2000)]
    assert (interval.low, interval.high) == pytest.approx(tuple(np.percentile(draws, [2.5, 97.5])), abs=0.01)
    assert harmonic_mean_interval(np.array([[1.0, NAN]])).n == 0


def test_paired_difference_is_narrower_than_two_intervals():
    rng = np.random.default_rng(5)
    difficulty = rng.normal(size=300)
    ours, theirs = difficulty + 0.1 + 0.05 * rng.normal(size=300), difficulty
    interval = paired_difference(ours, theirs)
    assert 0 < interval.low < 0.1 < interval.high
    assert interval.half_width < mean_interval(ours).half_width / 5
    assert paired_difference(np.array([1.0, NAN]), np.array([0.5, 2.0])).n == 1
    with pytest.raises(ValueError, match="align them by case"):
        paired_difference(ours, theirs[:-1])
