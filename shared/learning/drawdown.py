"""Edit success and drawdown from rows of `shared.learning.edit_success`: means over edits, bootstrap intervals."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from shared.errors import DataError
from shared.measures.intervals import bootstrap_means, percentile_bounds

EDITED, EQUIVALENT, ANCHOR = "edited", "equivalent", "anchor"
PERCENT = 100.0
# Metric → numerator and denominator over one edit's rows; a metric is the ratio of their means over edits.
RATIOS = {
    "edit_success": ("right_equivalent", "n_equivalent"),
    "edit_success_edited": ("right_edited", "n_edited"),
    "edit_success_all": ("right_all", "n_all"),
    "accuracy_before": ("right_anchor_before", "n_anchor"),
    "accuracy_drawdown": ("lost_anchor", "n_anchor"),
    "retained": ("same_anchor", "n_anchor"),
    "equivalence": ("agreeing", "n_equivalent"),
}


def per_edit(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Return counts of each edit, indexed by editor, edits (pairs per edit) and edit.

    Raises:
        DataError: there is no row.
    """
    frame = pd.DataFrame(list(rows))
    if frame.empty:
        raise DataError("no rows of edits to measure; the program that asks has written none")
    keys = ["editor", "edits", "edit"]
    counted = []
    for key, group in frame.groupby(keys, sort=False):
        of = {kind: group[group["kind"] == kind] for kind in (EDITED, EQUIVALENT, ANCHOR)}
        edited = dict(zip(of[EDITED]["example_id"], of[EDITED]["correct"], strict=True))
        agreeing = sum(
            edited[example] == correct
            for example, correct in zip(of[EQUIVALENT]["example_id"], of[EQUIVALENT]["correct"], strict=True)
        )
        anchors = of[ANCHOR]
        counts = {
            "right_equivalent": of[EQUIVALENT]["correct"].sum(),
            "n_equivalent": len(of[EQUIVALENT]),
            "right_edited": of[EDITED]["correct"].sum(),
            "n_edited": len(of[EDITED]),
            "right_all": of[EQUIVALENT]["correct"].sum() + of[EDITED]["correct"].sum(),
            "n_all": len(of[EQUIVALENT]) + len(of[EDITED]),
            "right_anchor_before": anchors["correct_before"].sum(),
            "lost_anchor": anchors["correct_before"].sum() - anchors["correct"].sum(),
            "same_anchor": anchors["same"].sum(),
            "agreeing": agreeing,
            "n_anchor": len(anchors),
            **{name: anchors[name].sum() for name in ("nll_before", "nll", "tokens", "divergence")},
        }
        counted.append(dict(zip(keys, key, strict=True)) | counts)
    return pd.DataFrame(counted).set_index(keys).astype(float)


def summarise(counts: pd.DataFrame) -> pd.DataFrame:
    """Return metrics per editor and pairs per edit, with 95 % intervals over edits.

    Shares in percent, accuracy drawdown in points; perplexity drawdown is exp(NLL) after minus before, with the NLL per
    token over all statements, as MEND defines it. `divergence` is in nats per token.

    Columns: editor, edits, metric, mean, low, high, n.
    """
    lines = []
    for (editor, edits), group in counts.groupby(level=["editor", "edits"], sort=False):
        columns = list(group.columns)
        draws = _metrics(pd.DataFrame(bootstrap_means(group.to_numpy()), columns=columns))
        for metric, values in _metrics(group.mean().to_frame().T).items():
            mean = float(values[0])
            # A share of answers that were right before has no bound where some draw has none of them.
            low, high = percentile_bounds(draws[metric]) if metric in draws else (mean, mean)
            lines.append([editor, edits, metric, mean, min(low, mean), max(high, mean), len(group)])
    return pd.DataFrame(lines, columns=["editor", "edits", "metric", "mean", "low", "high", "n"])


def _metrics(means: pd.DataFrame) -> dict[str, np.ndarray]:
    """Return the values of all metrics, one value per line of means."""
    found = {
        metric: PERCENT * (means[above] / means[below]).to_numpy(float) for metric, (above, below) in RATIOS.items()
    }
    nll, before = ((means[name] / means["tokens"]).to_numpy(float) for name in ("nll", "nll_before"))
    # A perplexity beyond what a number can hold means the same as one of e^50.
    found["perplexity_before"] = np.exp(np.minimum(before, 50.0))
    found["perplexity_drawdown"] = np.exp(np.minimum(nll, 50.0)) - found["perplexity_before"]
    found["divergence"] = (means["divergence"] / means["tokens"]).to_numpy(float)
    kept = means["right_anchor_before"].to_numpy(float)
    # Whole passages are never predicted token for token, so there no accuracy can deteriorate.
    if (kept > 0).all():
        found["deterioration"] = PERCENT * (means["lost_anchor"] / kept).to_numpy(float)
    return found
