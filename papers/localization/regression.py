"""How much of an edit's score the layer explains, and how much the tracing effect adds (§5.4, App. D), in numpy.

Over all (fact, layer) of one editor and problem, least squares of the score y on

    layer   one mean per edited layer
    trace   a line in f, the fact's tracing effect at the layer
    both    a line in f for every layer (layer × f)

compared by R² = 1 − SSE / SST and by the F-test of `both` against `layer`. The models are so simple that weighted sums
over facts decide them, so a bootstrap over facts is a product of resampling weights with these sums.
"""

from dataclasses import asdict, dataclass, fields

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int
from scipy import stats

from shared.errors import DataError
from shared.measures.intervals import RESAMPLES, percentile_bounds
from shared.seeding import seed_for

# Sums of (1, f, y, f², f·y, y²) of one fact at one layer.
N, F, Y, FF, FY, YY = range(6)
# Below this share of f's own second moment a layer has no spread of f, and its slope is left out.
FLAT = 1e-12
# Scores are of order one: a sum of squares below this is rounding.
NOTHING = 1e-15


@dataclass(frozen=True)
class Comparison:
    """The three models of one editor and problem.

    Attributes:
        n_facts, n: facts, and rows (fact, layer).
        r2_layer, r2_trace, r2_both: shares of variance explained.
        difference: r2_both − r2_layer, with its 95 % percentile bootstrap over facts, low to high.
        layer_low, layer_high, trace_low, trace_high: bootstrap bounds of those two shares.
        f, df1, df2, p: the F-test of both against layer.
        rmse_layer, rmse_trace, mae_layer, mae_trace: errors of the fits, in the score's unit.
    """

    n_facts: int
    n: int
    r2_layer: float
    r2_trace: float
    r2_both: float
    difference: float
    low: float
    high: float
    layer_low: float
    layer_high: float
    trace_low: float
    trace_high: float
    f: float
    df1: int
    df2: int
    p: float
    rmse_layer: float
    rmse_trace: float
    mae_layer: float
    mae_trace: float


COMPARISON_COLUMNS = [field.name for field in fields(Comparison)]


def _sums(
    facts: Int[np.ndarray, " row"],
    layers: Int[np.ndarray, " row"],
    trace: Float[np.ndarray, " row"],
    score: Float[np.ndarray, " row"],
) -> Float[np.ndarray, "fact layer 6"]:
    """Return the sums of every fact at every layer; f and y are centred first, which changes no R²."""
    f, y = trace - trace.mean(), score - score.mean()
    terms = np.stack([np.ones_like(f), f, y, f * f, f * y, y * y], axis=1)
    found = np.zeros((facts.max() + 1, layers.max() + 1, len(terms.T)))
    np.add.at(found, (facts, layers), terms)
    return found


def _line(total: Float[np.ndarray, "*draw 6"]) -> tuple[Float[np.ndarray, "*draw"], Bool[np.ndarray, "*draw"]]:
    """Return how much of the sum of squares about the mean a line in f takes away, and whether f has any spread."""
    n = np.maximum(total[..., N], 1)
    spread = total[..., FF] - total[..., F] ** 2 / n
    joint = total[..., FY] - total[..., F] * total[..., Y] / n
    varies = spread > FLAT * np.maximum(total[..., FF], 1)
    return np.where(varies, joint**2 / np.where(varies, spread, 1), 0), varies


def _explained(total: Float[np.ndarray, "*draw layer 6"]) -> dict[str, Float[np.ndarray, "*draw"]]:
    """Return SST and the SSE of the three models from sums by layer."""
    n = np.maximum(total[..., N], 1)
    pooled = total.sum(-2)
    sst = pooled[..., YY] - pooled[..., Y] ** 2 / np.maximum(pooled[..., N], 1)
    within = total[..., YY] - total[..., Y] ** 2 / n
    taken, _ = _line(total)
    return {
        "total": sst,
        "layer": within.sum(-1),
        "trace": sst - _line(pooled)[0],
        "both": (within - taken).sum(-1),
    }


def _r2(explained: dict[str, Float[np.ndarray, "*draw"]], model: str) -> Float[np.ndarray, "*draw"]:
    whole = explained["total"]
    varies = whole > NOTHING
    return np.where(varies, 1 - explained[model] / np.where(varies, whole, 1), np.nan)


def _bootstrap(
    sums: Float[np.ndarray, "fact layer 6"], resamples: int, seed: int
) -> dict[str, Float[np.ndarray, " draw"]]:
    """Return the three R² over facts drawn with replacement; all rows of a fact go together."""
    rng = np.random.default_rng(seed_for("localization", "bootstrap", seed))
    count = len(sums)
    weights = rng.multinomial(count, np.full(count, 1 / count), size=resamples).astype(float)
    drawn = _explained(np.einsum("df,flk->dlk", weights, sums))
    return {model: _r2(drawn, model) for model in ("layer", "trace", "both")}


def compare_models(
    facts: Int[np.ndarray, " row"],
    layers: Int[np.ndarray, " row"],
    trace: Float[np.ndarray, " row"],
    score: Float[np.ndarray, " row"],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Comparison:
    """Regress scores on layers, on tracing effects, and on both.

    Args:
        facts, layers: of each row.
        trace: f, the fact's tracing effect at the layer; rows without one (NaN) are left out.
        score: y.
        resamples: bootstrap samples over facts.
        seed: of the resampling; equal seeds draw equal facts for all editors.

    Returns:
        R² and tests; R² is NaN, and p too, where all scores are equal.

    Raises:
        DataError: fewer than two rows have a score and an effect.
    """
    known = ~(np.isnan(trace) | np.isnan(score))
    f, y = trace[known], score[known]
    if len(y) < 2:
        raise DataError(f"a regression needs at least two scored edits with a tracing effect, got {len(y)}")
    fact_of = np.unique(facts[known], return_inverse=True)[1]
    layer_of = np.unique(layers[known], return_inverse=True)[1]
    sums = _sums(fact_of, layer_of, f, y)
    total = sums.sum(0)
    whole = _explained(total[None])
    explained = {model: float(value[0]) for model, value in whole.items()}
    r2 = {model: float(_r2(whole, model)[0]) for model in ("layer", "trace", "both")}
    draws = _bootstrap(sums, resamples, seed)
    low, high = _bounds(draws["both"] - draws["layer"])
    layer_bounds, trace_bounds = _bounds(draws["layer"]), _bounds(draws["trace"])
    slopes = int(_line(total)[1].sum())
    df2 = len(y) - len(total) - slopes
    statistic, p = _f_test(explained["layer"], explained["both"], slopes, df2)
    errors = _errors(layer_of, f, y)
    return Comparison(
        n_facts=len(sums),
        n=len(y),
        r2_layer=r2["layer"],
        r2_trace=r2["trace"],
        r2_both=r2["both"],
        difference=r2["both"] - r2["layer"],
        low=low,
        high=high,
        layer_low=layer_bounds[0],
        layer_high=layer_bounds[1],
        trace_low=trace_bounds[0],
        trace_high=trace_bounds[1],
        f=statistic,
        df1=slopes,
        df2=df2,
        p=p,
        **errors,
    )


def _bounds(draws: Float[np.ndarray, " draw"]) -> tuple[float, float]:
    return (float("nan"), float("nan")) if np.isnan(draws).all() else percentile_bounds(draws)


def _f_test(smaller: float, larger: float, df1: int, df2: int) -> tuple[float, float]:
    """Return F and p of two nested fits from their SSE; NaN where nothing is left to test."""
    if df1 < 1 or df2 < 1 or not larger > NOTHING:
        return float("nan"), float("nan")
    statistic = (smaller - larger) / df1 / (larger / df2)
    return statistic, float(stats.f.sf(statistic, df1, df2))


def _errors(
    layers: Int[np.ndarray, " row"], f: Float[np.ndarray, " row"], y: Float[np.ndarray, " row"]
) -> dict[str, float]:
    """Return the in-sample errors of the layer and of the trace model."""
    means = np.bincount(layers, y) / np.bincount(layers)
    spread = f - f.mean()
    slope = (spread @ y) / (spread @ spread) if spread @ spread > 0 else 0.0
    residuals = {"layer": y - means[layers], "trace": y - y.mean() - slope * spread}
    return {f"rmse_{name}": float(np.sqrt(np.mean(r**2))) for name, r in residuals.items()} | {
        f"mae_{name}": float(np.mean(np.abs(r))) for name, r in residuals.items()
    }


def correlations(
    layers: Int[np.ndarray, " row"],
    trace: Float[np.ndarray, " row"],
    score: Float[np.ndarray, " row"],
    *,
    seed: int = 0,
) -> pd.DataFrame:
    """Return Pearson's correlation of score and tracing effect at each layer, with p and a bootstrap interval.

    Columns: layer, rho, low, high, p, n; rho is NaN where one of the two does not vary.
    """
    frame = pd.DataFrame({"layer": layers, "trace": trace, "score": score}).dropna()
    lines = []
    for layer, rows in frame.groupby("layer"):
        f, y = rows["trace"].to_numpy(float), rows["score"].to_numpy(float)
        if len(rows) < 3 or np.ptp(f) == 0 or np.ptp(y) == 0:
            lines.append((layer, np.nan, np.nan, np.nan, np.nan, len(rows)))
            continue
        found = stats.pearsonr(f, y)
        low, high = _correlation_bounds(f, y, seed)
        lines.append((layer, float(found.statistic), low, high, float(found.pvalue), len(rows)))
    return pd.DataFrame(lines, columns=["layer", "rho", "low", "high", "p", "n"])


def _correlation_bounds(f: Float[np.ndarray, " row"], y: Float[np.ndarray, " row"], seed: int) -> tuple[float, float]:
    rng = np.random.default_rng(seed_for("localization", "correlation", seed))
    weights = rng.multinomial(len(f), np.full(len(f), 1 / len(f)), size=RESAMPLES).astype(float)
    f, y = f - f.mean(), y - y.mean()
    n = len(f)
    mean_f, mean_y = weights @ f / n, weights @ y / n
    joint = weights @ (f * y) / n - mean_f * mean_y
    spread = (weights @ (f * f) / n - mean_f**2) * (weights @ (y * y) / n - mean_y**2)
    drawn = np.where(spread > 0, joint / np.sqrt(np.where(spread > 0, spread, 1)), np.nan)
    return _bounds(drawn)


def concentrated(effects: pd.DataFrame, others: int = 3, share: float = 0.5) -> set[int]:
    """Return the cases whose tracing effect is concentrated in few layers (App. D).

    At most `others` layers besides the best one reach `share` of the best one's effect.

    Args:
        effects: columns case_id, layer, max_restored_effect, of one window.
    """
    kept = set()
    for case, rows in effects.groupby("case_id"):
        found = rows["max_restored_effect"].to_numpy(float)
        if (found >= share * found.max()).sum() - 1 <= others:
            kept.add(int(case))
    return kept


def record(comparison: Comparison) -> dict[str, float | int]:
    """Return a comparison as one line of a table."""
    return asdict(comparison)
