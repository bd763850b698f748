"""Over-editing and forgetting (Zheng et al. 2023, §5.2 and §5.3, Tables 5 and 6), from the probes of a run."""

import argparse
import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from shared import runtime
from shared.data.probes import POST, PRE, ProbeRow, read_rows
from shared.errors import DataError, reported
from shared.measures.intervals import mean_interval
from shared.measures.metrics import probe_frame
from shared.records import atomic_path

log = logging.getLogger(__name__)
THRESHOLDS = (1.0, 1.1)
FORGOTTEN = 0.5
PERCENT = 100


def contrastive_assessment(rows: Iterable[ProbeRow]) -> pd.DataFrame:
    """Return the contrast of each case: P(o* | s, r*) / mean over the wrong relations r' of P(o* | s, r').

    Args:
        rows: of cases made by `papers.ike.split`, whose attribute prompts are the wrong relations'.

    Returns:
        One line per editor and case: `contrast`, and `false_rate_1.0`, `false_rate_1.1`, which are 1 where the contrast
        is below the threshold.

    Raises:
        DataError: there are no probes of wrong relations.
    """
    frame = probe_frame(rows)
    frame = frame[(frame.phase == POST) | (frame.editor == "none")].assign(probability=lambda f: np.exp(-f.nll_new))
    keys = ["editor", "case_id"]
    right = frame[frame.kind == "rewrite"].set_index(keys).probability
    wrong = frame[frame.kind == "attribute"].groupby(keys).probability.mean()
    if wrong.empty:
        raise DataError(
            "contrastive assessment: no probes of wrong relations; were the cases made by papers.ike.split?"
        )
    found = pd.DataFrame({"contrast": (right / wrong).dropna()})
    for threshold in THRESHOLDS:
        found[f"false_rate_{threshold}"] = (found.contrast < threshold).astype(float) * PERCENT
    return found.sort_index()


def forgetting(rows: Iterable[ProbeRow]) -> pd.DataFrame:
    """Return, per editor and case, how far the original object's probability fell at the edited prompt.

    Returns:
        `probability_drop`, P_before(oc) - P_after(oc) in points, and `forgetting_rate`, 100 where it is more than half
        of P_before.

    Raises:
        DataError: the rows of the unedited model are missing.
    """
    frame = probe_frame(rows)
    frame = frame[frame.kind == "rewrite"].assign(probability=lambda f: np.exp(-f.nll_true))
    before = frame[frame.phase == PRE].set_index("case_id").probability
    after = frame[frame.phase == POST].set_index(["editor", "case_id"]).probability
    start = before.reindex(after.index.get_level_values("case_id")).to_numpy()
    if np.isnan(start).any():
        raise DataError("forgetting: rows of the unedited model are missing; pass the probes of both phases")
    drop = start - after
    rate = (drop > FORGOTTEN * start).astype(float)
    return pd.DataFrame({"probability_drop": PERCENT * drop, "forgetting_rate": PERCENT * rate}).sort_index()


def summarised(cases: pd.DataFrame) -> pd.DataFrame:
    """Return means over cases with bootstrap intervals: editor, metric, mean, low, high, n.

    Rates are in percent, drops in points, contrasts ratios.
    """
    lines = [
        {"editor": editor, "metric": metric, **vars(mean_interval(chosen[metric].to_numpy(float)))}
        for editor, chosen in cases.groupby(level="editor")
        for metric in chosen.columns
    ]
    return pd.DataFrame(lines, columns=["editor", "metric", "mean", "low", "high", "n"])


@reported(log)
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m papers.ike.side_effects", description=__doc__)
    parser.add_argument("--probes", type=Path, required=True, help="probes.jsonl of a run with attribute prompts")
    parser.add_argument("--out", type=Path, required=True, help="CSV to write")
    options = parser.parse_args(arguments)
    runtime.start_logging()
    rows = list(read_rows(options.probes))
    parts = [contrastive_assessment(rows), forgetting(rows)]
    frame = pd.concat([summarised(part) for part in parts], ignore_index=True)
    with atomic_path(options.out) as part:
        frame.to_csv(part, index=False, float_format="%.9g", lineterminator="\n")


if __name__ == "__main__":
    main()
