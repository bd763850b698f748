"""Average causal effects from traced facts: the numbers behind Figures 1-3 and 7-15 (§2, App. B).

Pure functions of the rows that `papers.rome.tracing` writes. Effects are differences of probabilities:
AIE = mean restored probability of a token category at a layer − mean corrupted probability.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from jaxtyping import Float

from shared.errors import DataError
from shared.measures.intervals import mean_interval
from shared.records import read_jsonl
from shared.traces.effects import CATEGORIES, category_positions

Row = dict[str, Any]
Counting = Literal["category", "facts"]

NORMAL_QUANTILE = 1.96
CURVES = ("ordinary", "mlp", "attention")
# Names that reported.csv uses.
METRIC_PREFIX = {"state": "states", "mlp": "mlp", "attention": "attention"}


@dataclass(frozen=True)
class Traces:
    """Rows of the facts that the model knows, and how many were asked."""

    rows: list[Row]
    asked: int


def read_traces(paths: Iterable[str | Path], *, only_correct: bool = True) -> Traces:
    """Read the shards of a tracing run, by id.

    Args:
        only_correct: keep the facts that the model completes correctly; else all that were traced.

    Raises:
        DataError: a row is not of a traced fact, an id occurs twice, or no fact was completed correctly.
    """
    rows: dict[int, Row] = {}
    asked: set[int] = set()
    files = [Path(path) for path in paths]
    for path in files:
        for number, row in enumerate(read_jsonl(path), 1):
            if "known_id" not in row or "correct" not in row:
                raise DataError(
                    f"{path}, line {number}: no fields known_id and correct; expected rows of a tracing run"
                )
            if row["known_id"] in asked:
                raise DataError(
                    f"{path}, line {number}: known_id {row['known_id']} occurs twice among {len(files)} files"
                )
            asked.add(row["known_id"])
            if row["correct"] or ("high" in row and not only_correct):
                rows[row["known_id"]] = row
    if not rows:
        raise DataError(f"{', '.join(map(str, files))}: none of the {len(asked)} facts was completed correctly")
    return Traces([rows[key] for key in sorted(rows)], len(asked))


def _scores(row: Row, kind: str) -> Float[np.ndarray, "pos layer"]:
    if kind not in row.get("scores", {}):
        raise DataError(f"known_id {row['known_id']}: no scores of kind {kind!r}; trace again with --kinds {kind}")
    return np.asarray(row["scores"][kind], dtype=float)


def _pooled(rows: Sequence[Row], kind: str) -> dict[str, Float[np.ndarray, "token layer"]]:
    """Return the restored probabilities of each category's tokens, over all facts."""
    pooled: dict[str, list[np.ndarray]] = {category: [] for category in CATEGORIES}
    for row in rows:
        scores = _scores(row, kind)
        for category, positions in category_positions(*row["subject_range"], len(scores)).items():
            pooled[category].append(scores[positions.start : positions.stop])
    return {category: np.concatenate(parts) for category, parts in pooled.items()}


def _low(rows: Sequence[Row]) -> float:
    return float(np.mean([row["low"] for row in rows]))


def category_effects(rows: Sequence[Row], kind: str, *, counting: Counting = "category") -> pd.DataFrame:
    """Return the AIE of one kind by token category and layer, with the paper's band (Figs. 2, 7 to 9, 12, 13).

    The band is 1.96·σ/√n with σ the population standard deviation over the category's tokens.

    Args:
        counting: `category`: n is the number of tokens pooled in the category; `facts`: the number of facts, whatever
            the category, which is what the authors' plots divide by.

    Returns:
        Columns kind, category, layer, effect, low, high, n; categories without tokens are absent.
    """
    low = _low(rows)
    records = []
    for category, scores in _pooled(rows, kind).items():
        if not len(scores):
            continue
        n = len(scores) if counting == "category" else len(rows)
        band = NORMAL_QUANTILE * scores.std(0) / np.sqrt(n)
        for layer, (effect, half) in enumerate(zip(scores.mean(0) - low, band, strict=True)):
            records.append((kind, category, layer, effect, effect - half, effect + half, n))
    return pd.DataFrame(records, columns=["kind", "category", "layer", "effect", "low", "high", "n"])


def heatmap(effects: pd.DataFrame) -> pd.DataFrame:
    """Return one kind's effects as a matrix category × layer with negative effects set to 0, as Figure 2 shows them."""
    matrix = effects.pivot(index="category", columns="layer", values="effect").clip(lower=0)
    return matrix.reindex([category for category in CATEGORIES if category in matrix.index])


def severed_effects(rows: Sequence[Row]) -> pd.DataFrame:
    """Return the AIE at the last subject token by layer, ordinary and with MLPs or attention severed (Fig. 3).

    Returns:
        Columns curve, layer, effect, low, high (1.96·σ/√n), n.

    Raises:
        DataError: the run has no severed curves.
    """
    base = _low(rows)
    records = []
    for curve in CURVES:
        if any(curve not in row.get("severed", {}) for row in rows):
            raise DataError(f"some facts have no severed curve {curve!r}; trace again with --severed")
        values = np.array([row["severed"][curve] for row in rows], dtype=float)
        band = NORMAL_QUANTILE * values.std(0) / np.sqrt(len(values))
        for layer, (effect, half) in enumerate(zip(values.mean(0) - base, band, strict=True)):
            records.append((curve, layer, effect, effect - half, effect + half, len(values)))
    return pd.DataFrame(records, columns=["curve", "layer", "effect", "low", "high", "n"])


def _record(metric: str, values: Float[np.ndarray, " fact"]) -> dict[str, Any]:
    interval = mean_interval(100 * values)
    return {
        "metric": metric,
        "value": interval.mean,
        "low": interval.low,
        "high": interval.high,
        "n": interval.n,
        "unit": "percent",
    }


def _layer(metric: str, layer: int, n: int) -> dict[str, Any]:
    return {"metric": metric, "value": float(layer), "low": np.nan, "high": np.nan, "n": n, "unit": "layer"}


def _kind_summary(rows: Sequence[Row], kind: str) -> list[dict[str, Any]]:
    prefix, lows = METRIC_PREFIX[kind], np.array([row["low"] for row in rows])
    scores = [_scores(row, kind) for row in rows]
    places = {
        "last_subject": np.array(
            [values[row["subject_range"][1] - 1] for row, values in zip(rows, scores, strict=True)]
        ),
        "last": np.array([values[-1] for values in scores]),
    }
    records = []
    for place, values in places.items():
        effects = values - lows[:, None]
        peak = int(effects.mean(0).argmax())
        records.append(_record(f"{prefix}_{place}_peak", effects[:, peak]))
        records.append(_layer(f"{prefix}_{place}_peak_layer", peak, len(rows)))
        records.append(_record(f"{prefix}_{place}_best", values.max(1)))
    records.append(_record(f"{prefix}_anywhere_best", np.array([values.max() for values in scores])))
    return records


def _severed_summary(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Compare the curves where severing matters: at the ordinary curve's peak and averaged over the lower half."""
    lows = np.array([row["low"] for row in rows])[:, None]
    curves = {curve: np.array([row["severed"][curve] for row in rows]) - lows for curve in CURVES}
    peak = int(curves["ordinary"].mean(0).argmax())
    half = curves["ordinary"].shape[1] // 2
    records = [_layer("severed_ordinary_peak_layer", peak, len(rows))]
    for curve, effects in curves.items():
        records.append(_record(f"severed_{curve}_at_peak", effects[:, peak]))
        records.append(_record(f"severed_{curve}_lower_half", effects[:, :half].mean(1)))
        records.append(_record(f"severed_{curve}_upper_half", effects[:, half:].mean(1)))
    return records


def summary(rows: Sequence[Row]) -> pd.DataFrame:
    """Return the numbers that the paper's text states (§2.2, App. B.1), under their names in reported.csv.

    `…_peak` is the largest AIE over layers, `…_best` the mean over facts of each fact's best restored probability;
    intervals are 95 % bootstrap over facts (at the peak's layer, which is held fixed).

    Returns:
        Columns metric, value, low, high, n, unit (percent, or layer).
    """
    high, low = (np.array([row[end] for row in rows], dtype=float) for end in ("high", "low"))
    records = [
        _record("average_total_effect", high - low),
        _record("clean_probability", high),
        _record("corrupted_probability", low),
    ]
    for kind in METRIC_PREFIX:
        if all(kind in row.get("scores", {}) for row in rows):
            records += _kind_summary(rows, kind)
    if all("severed" in row for row in rows):
        records += _severed_summary(rows)
    return pd.DataFrame(records)
