"""Scores of blocks of cases that were edited together: `python -m papers.memit.blocks --help`."""

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from shared import runtime
from shared.errors import EditingError
from shared.measures.intervals import harmonic_mean_interval, mean_intervals
from shared.records import atomic_path
from shared.report.editing_results import read_cases, read_csv

log = logging.getLogger(__name__)
PARTS = ["efficacy_score", "paraphrase_score", "neighborhood_score"]
PERCENT = 100


def scores_of_blocks(cases: pd.DataFrame, index: pd.DataFrame) -> pd.DataFrame:
    """Return S, ES, PS and NS (percent) of each block and editor, with bootstrap intervals over the block's cases.

    Args:
        cases: metrics of each case, as `shared.measures.measure` wrote them.
        index: block of each case, as `papers.memit.arrange` wrote it.

    Returns:
        Columns: block, editor, metric, value, low, high, n.
    """
    frame = cases.merge(index[["case_id", "block"]], on="case_id", how="left", validate="many_to_one")
    lines = []
    for (block, editor), own in frame.groupby(["block", "editor"], sort=False):
        values = own[PARTS].to_numpy(float)
        found = dict(zip(PARTS, mean_intervals(values), strict=True)) | {"score": harmonic_mean_interval(values)}
        for metric, interval in found.items():
            bounds = {name: PERCENT * getattr(interval, name) for name in ("mean", "low", "high")}
            lines.append({"block": block, "editor": editor, "metric": metric, **bounds, "n": interval.n})
    return pd.DataFrame(lines).rename(columns={"mean": "value"})


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m papers.memit.blocks", description=__doc__.split(":")[0])
    parser.add_argument("--cases", type=Path, required=True, help="cases.csv of a run on an arrangement")
    parser.add_argument("--index", type=Path, required=True, help="the arrangement's table of case and block")
    parser.add_argument("--out", type=Path, required=True, help="CSV to write")
    options = parser.parse_args(arguments)
    runtime.start()
    try:
        found = scores_of_blocks(read_cases(options.cases), read_csv(options.index, ["case_id", "block"]))
    except EditingError as error:
        log.error("%s", error)
        raise SystemExit(1) from None
    with atomic_path(options.out) as part:
        found.to_csv(part, index=False, float_format="%.9g", lineterminator="\n")


if __name__ == "__main__":
    main()
