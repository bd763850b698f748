"""Which rows of a run's records an item shows; what several items share."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from papers.localization.effects import ZEROED
from papers.localization.problems import PROBLEMS
from shared.editing.methods import title_of
from shared.errors import DataError
from shared.report.editing_results import read_csv

KEYS = ["problem", "editor", "score", "effect", "window", "subset"]
FRACTION = "max_fraction_restored"
# In the paper's order.
EDITORS = ("ft_1", "ft_5", "rome", "memit")
SCORE_TITLES = {
    "rewrite": "rewrite score",
    "paraphrase": "paraphrase score",
    "neighborhood": "neighborhood score",
    "overall": "overall score",
    "essence": "essence score",
    "magnitude": "p(o_false) − p(o_true) after the edit",
}
EFFECT_TITLES = {
    FRACTION: "fraction restored",
    "last_subject_fraction": "fraction restored, last subject token",
    "last_subject_effect": "restored effect, last subject token",
    ZEROED: "fraction lost with silent MLPs",
}
# Column of scores.csv → name of the score.
COLUMNS = {
    "rewrite_score": "rewrite",
    "paraphrase_score": "paraphrase",
    "neighborhood_score": "neighborhood",
    "overall_score": "overall",
    "overall_with_essence": "overall with essence",
    "essence_score": "essence",
}


def label(problem: str, editor: str) -> str:
    """Return how a cell is called in tables, e.g. "Error Injection, ROME"."""
    return f"{PROBLEMS[problem].title}, {title_of(editor)}"


def read_regressions(path: str | Path) -> pd.DataFrame:
    """Return a run's comparisons of models.

    Raises:
        DataError: the file is absent or holds something else.
    """
    frame = read_csv(path, [*KEYS, "r2_layer", "r2_trace", "r2_both", "difference"])
    return frame.astype({"window": str})


def select(frame: pd.DataFrame, where: Mapping[str, Any]) -> pd.DataFrame:
    """Return the rows that have the given values; a value may be a list of values.

    Raises:
        DataError: there are none.
    """
    chosen = frame
    for name, value in where.items():
        values = value if isinstance(value, list) else [value]
        chosen = chosen[chosen[name].isin(values)]
    if chosen.empty:
        raise DataError(f"no record has {dict(where)}; was this run made with other problems, editors or windows?")
    return chosen


def main_rows(settings: Mapping[str, Any], *, window: str = "window", **where: Any) -> dict[str, Any]:
    """Return the keys of the main analysis: the restored fraction of the model's window, over all facts.

    Args:
        settings: an item's, which say the model's windows.
        window: which of them: `window`, or `wide`.
        where: further keys, or others in place of these.
    """
    return {"effect": FRACTION, "window": str(settings[window]), "subset": "all"} | where
