"""The regressions equal ordinary least squares as statsmodels fits it, and their bootstrap resamples facts."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from scipy import stats
from statsmodels.stats.anova import anova_lm

from papers.localization.regression import compare_models, concentrated, correlations
from shared.errors import DataError

LAYERS = (0, 3, 5, 7)


def _rows(seed=0, facts=40, slope=0.3):
    random = np.random.default_rng(seed)
    rows = [(fact, layer) for fact in range(facts) for layer in LAYERS]
    frame = pd.DataFrame(rows, columns=["fact", "layer"])
    frame["trace"] = random.random(len(frame)) ** 2
    level = {0: 0.9, 3: 0.8, 5: 0.3, 7: 0.0}
    frame["score"] = frame["layer"].map(level) + slope * frame["trace"] + 0.1 * random.standard_normal(len(frame))
    return frame


def _compare(frame, **options):
    columns = (frame[name].to_numpy() for name in ("fact", "layer", "trace", "score"))
    return compare_models(*columns, **options)


@pytest.mark.parametrize("seed", [0, 1])
def test_equals_statsmodels(seed):
    frame = _rows(seed).sample(frac=0.9, random_state=seed)
    ours = _compare(frame)
    layer = smf.ols("score ~ C(layer)", frame).fit()
    trace = smf.ols("score ~ trace", frame).fit()
    both = smf.ols("score ~ C(layer) * trace", frame).fit()
    test = anova_lm(layer, both).iloc[1]
    assert ours.r2_layer == pytest.approx(layer.rsquared, abs=1e-12)
    assert ours.r2_trace == pytest.approx(trace.rsquared, abs=1e-12)
    assert ours.r2_both == pytest.approx(both.rsquared, abs=1e-12)
    assert ours.difference == pytest.approx(both.rsquared - layer.rsquared, abs=1e-12)
    assert (ours.df1, ours.df2) == (test["df_diff"], both.df_resid)
    assert ours.f == pytest.approx(test["F"], rel=1e-9)
    assert ours.p == pytest.approx(test["Pr(>F)"], rel=1e-9)
    assert ours.rmse_layer == pytest.approx(np.sqrt(np.mean(layer.resid**2)))
    assert ours.mae_trace == pytest.approx(np.mean(np.abs(trace.resid)))
    assert (ours.n, ours.n_facts) == (len(frame), frame["fact"].nunique())


def test_bootstrap_of_the_difference_equals_refitting_resampled_facts():
    frame = _rows(facts=12)
    ours = _compare(frame, resamples=1500, seed=3)
    random, drawn = np.random.default_rng(7), []
    by_fact = [rows for _, rows in frame.groupby("fact")]
    for _ in range(150):
        chosen = pd.concat([by_fact[place] for place in random.integers(0, len(by_fact), len(by_fact))])
        refit = _compare(chosen.assign(fact=np.arange(len(chosen))), resamples=2)
        drawn.append(refit.difference)
    low, high = np.percentile(drawn, [2.5, 97.5])
    assert ours.low == pytest.approx(low, abs=0.35 * (high - low))
    assert ours.high == pytest.approx(high, abs=0.35 * (high - low))
    assert ours.low <= ours.difference <= ours.high
    assert _compare(frame, seed=3).low == _compare(frame, seed=3).low


def test_a_layer_without_spread_of_the_effect_loses_its_slope():
    frame = _rows()
    frame.loc[frame["layer"] == 7, "trace"] = 0.25
    ours = _compare(frame)
    both = smf.ols("score ~ C(layer) * trace", frame[frame["layer"] != 7]).fit()
    apart = frame[frame["layer"] == 7]["score"]
    sse = both.ssr + ((apart - apart.mean()) ** 2).sum()
    sst = ((frame["score"] - frame["score"].mean()) ** 2).sum()
    assert ours.r2_both == pytest.approx(1 - sse / sst, abs=1e-12)
    assert ours.df1 == len(LAYERS) - 1


def test_missing_and_equal_scores():
    frame = _rows()
    frame.loc[:10, "trace"] = np.nan
    assert _compare(frame).n == len(frame) - 11
    equal = _compare(_rows().assign(score=1.0))
    assert np.isnan(equal.r2_layer)
    assert np.isnan(equal.p)
    with pytest.raises(DataError, match="at least two"):
        compare_models(np.array([0]), np.array([1]), np.array([0.5]), np.array([0.5]))


def test_correlations_by_layer():
    frame = _rows()
    frame.loc[frame["layer"] == 5, "score"] = 0.0
    found = correlations(*(frame[name].to_numpy() for name in ("layer", "trace", "score"))).set_index("layer")
    for layer in (0, 3, 7):
        rows = frame[frame["layer"] == layer]
        expected = stats.pearsonr(rows["trace"], rows["score"])
        assert found.loc[layer, "rho"] == pytest.approx(expected.statistic)
        assert found.loc[layer, "p"] == pytest.approx(expected.pvalue)
        assert found.loc[layer, "low"] < found.loc[layer, "rho"] < found.loc[layer, "high"]
    assert np.isnan(found.loc[5, "rho"])


def test_concentrated_facts():
    effects = pd.DataFrame(
        {
            "case_id": [1] * 6 + [2] * 6,
            "layer": [*range(6)] * 2,
            "max_restored_effect": [1, 0.6, 0.5, 0.5, 0.1, 0.0, 1, 0.6, 0.5, 0.5, 0.5, 0.0],
        }
    )
    assert concentrated(effects) == {1}
    assert concentrated(effects, share=0.55) == {1, 2}
