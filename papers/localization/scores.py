"""The scores of an edit (§5.3), as pure functions of probabilities before and after.

All probabilities are joint over the target's tokens. With q of a prompt before and after the edit:

    rewrite, paraphrase   (q_after − q_before) / (1 − q_before); erasing: max(0, (q_before − q_after) / q_before)
    neighborhood          1 − |q_after − q_before| / (0.5 + |q_before − 0.5|)
    essence               1 − min(max(0, ppl_after − ppl_before), 5) / 5

The overall score is the mean of the first three, or of all four. A score of several prompts is the mean over them.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from papers.localization.modes import Mode
from papers.localization.problems import Problem

ESSENCE_RANGE = 5.0
SCORES = ["rewrite", "paraphrase", "neighborhood"]
SCORE_COLUMNS = [
    *["case_id", "problem", "editor", "layer", "n_layers", "rewrite_score", "paraphrase_score", "neighborhood_score"],
    *["overall_score", "essence_score", "overall_with_essence", "rewrite_before", "rewrite_after", "rewrite_magnitude"],
]


def change_score(before: float, after: float, problem: Problem, floor: float | None = None) -> float:
    """Return how much of the possible change of a probability an edit made: 1 is all, 0 none, below 0 backwards.

    Args:
        floor: least value, where the mode has one; erasing has 0.
    """
    if problem.objective == "minimise":
        return max(0.0, (before - after) / before) if before > 0 else 0.0
    score = (after - before) / (1 - before) if before < 1 else 0.0
    return score if floor is None else max(floor, score)


def neighborhood_score(before: float, after: float) -> float:
    """Return 1 minus the change of a neighbour's probability, as a share of the largest change possible."""
    return 1 - abs(after - before) / (0.5 + abs(before - 0.5))


def perplexity(log_prob: float, tokens: int) -> float:
    """Return exp(−Σ log p / N) of a text of N tokens whose first token has no probability, as the authors count."""
    return math.exp(-log_prob / tokens)


def essence_score(before: Sequence[float], after: Sequence[float]) -> float:
    """Return the essence score of texts from their perplexities."""
    difference = float(np.mean(after) - np.mean(before))
    return 1 - min(max(0.0, difference), ESSENCE_RANGE) / ESSENCE_RANGE


def score_edit(row: Mapping[str, Any], problem: Problem, mode: Mode) -> dict[str, Any]:
    """Return the scores of one edit.

    Args:
        row: a line of `papers.localization.editing`: `before` and `after` hold a list of probabilities for each kind of
            probe, and of perplexities for `essence`.

    Returns:
        the fields of `SCORE_COLUMNS`; those that were not measured are NaN.
    """
    before, after = row["before"], row["after"]

    def mean_of(kind: str) -> float:
        if kind not in before:
            return math.nan
        pairs = zip(before[kind], after[kind], strict=True)
        if kind == "neighborhood":
            return float(np.mean([neighborhood_score(*pair) for pair in pairs]))
        return float(np.mean([change_score(*pair, problem, mode.floor) for pair in pairs]))

    found = {f"{kind}_score": mean_of(kind) for kind in SCORES}
    overall = list(found.values())
    found["overall_score"] = float(np.mean(overall))
    essence = essence_score(before["essence"], after["essence"]) if before.get("essence") else math.nan
    found |= {"essence_score": essence, "overall_with_essence": float(np.mean([*overall, essence]))}
    found |= {"rewrite_before": before["rewrite"][0], "rewrite_after": after["rewrite"][0]}
    baseline = after.get("baseline")
    found["rewrite_magnitude"] = after["rewrite"][0] - baseline[0] if baseline else math.nan
    names = ("case_id", "problem", "editor", "layer", "n_layers")
    return {name: row[name] for name in names} | found


def score_frame(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return scored edits as a table, by problem, editor, layer and case."""
    frame = pd.DataFrame(list(rows), columns=SCORE_COLUMNS)
    return frame.sort_values(["problem", "editor", "layer", "case_id"], kind="stable").reset_index(drop=True)
