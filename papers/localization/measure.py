"""Score the edits of a run and regress the scores on layers and tracing effects.

    python -m papers.localization.measure --edits edits/*/*.jsonl --effects effects.csv --window 5 --wide 10 \\
        --scores scores.csv --means means.csv --regressions regressions.csv --correlations correlations.csv

One line of `scores.csv` per edit; one of `regressions.csv` per problem, editor, score and kind of tracing effect; one
of `correlations.csv` per layer of these.
"""

import argparse
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from papers.localization.effects import ZEROED
from papers.localization.modes import mode_named
from papers.localization.problems import problem_named
from papers.localization.regression import compare_models, concentrated, correlations, record
from papers.localization.scores import score_edit, score_frame
from shared import runtime
from shared.errors import DataError, reported
from shared.measures.intervals import mean_interval
from shared.records import atomic_path, read_jsonl

log = logging.getLogger(__name__)

FRACTION, LAST_FRACTION, LAST_EFFECT = "max_fraction_restored", "last_subject_fraction", "last_subject_effect"
ALL, CONCENTRATED = "all", "concentrated"
SCORE_MEANS = [
    *["rewrite_score", "paraphrase_score", "neighborhood_score", "overall_score"],
    *["essence_score", "overall_with_essence"],
]
KEYS = ["problem", "editor", "score", "effect", "window", "subset"]


@dataclass(frozen=True)
class Analysis:
    """One regression of every problem and editor: a score on a kind of effect, with a window, over some facts."""

    score: str
    effect: str
    window: str
    subset: str = ALL


def analyses(window: int, wide: int, zeroed: bool) -> list[Analysis]:
    """Return what the paper's tables and figures regress.

    Args:
        window: restored layers of the main analysis.
        wide: those of Figure 12.
        zeroed: whether MLPs were silenced too (Figures 21 and 22).
    """
    main = str(window)
    found = [Analysis(score, FRACTION, main) for score in ("rewrite", "paraphrase", "neighborhood", "overall")]
    if wide != window:
        found.append(Analysis("rewrite", FRACTION, str(wide)))
    found += [
        Analysis("rewrite", FRACTION, main, CONCENTRATED),
        Analysis("rewrite", LAST_FRACTION, main),
        Analysis("magnitude", LAST_EFFECT, main),
    ]
    return found + ([Analysis(score, FRACTION, ZEROED) for score in ("rewrite", "overall")] if zeroed else [])


def _column(score: str) -> str:
    return "rewrite_magnitude" if score == "magnitude" else f"{score}_score"


def joined(scores: pd.DataFrame, effects: pd.DataFrame, analysis: Analysis) -> pd.DataFrame:
    """Return the rows of an analysis: scored edits with their fact's effect at the edited layer.

    Columns: those of `scores`, `trace`, and `value`, the score. Edits without either are left out.

    Raises:
        DataError: the effects were not traced with that window.
    """
    chosen = effects[effects["window"] == analysis.window]
    if chosen.empty:
        raise DataError(
            f"no tracing effects with window {analysis.window}; traced are {', '.join(effects['window'].unique())}"
        )
    if analysis.subset == CONCENTRATED:
        chosen = chosen[chosen["case_id"].isin(concentrated(chosen))]
    renamed = chosen[["case_id", "layer", analysis.effect]].rename(columns={analysis.effect: "trace"})
    rows = scores.merge(renamed, on=["case_id", "layer"], validate="many_to_one")
    return rows.assign(value=rows[_column(analysis.score)]).dropna(subset=["trace", "value"])


def _cells(rows: pd.DataFrame) -> Iterator[tuple[tuple[str, str], pd.DataFrame]]:
    for key, cell in rows.groupby(["problem", "editor"], sort=False):
        if len(cell) >= 2:
            yield key, cell


def regressions(
    scores: pd.DataFrame, effects: pd.DataFrame, wanted: Sequence[Analysis], seed: int = 0
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the comparisons of models, and the correlations by layer, of every problem and editor."""
    compared, by_layer = [], []
    for analysis in wanted:
        fields = {name: getattr(analysis, name) for name in ("score", "effect", "window", "subset")}
        for (problem, editor), cell in _cells(joined(scores, effects, analysis)):
            facts, layers = cell["case_id"].to_numpy(np.int64), cell["layer"].to_numpy(np.int64)
            trace, value = cell["trace"].to_numpy(float), cell["value"].to_numpy(float)
            key = {"problem": problem, "editor": editor, **fields}
            compared.append(key | record(compare_models(facts, layers, trace, value, seed=seed)))
            by_layer.append(correlations(layers, trace, value, seed=seed).assign(**key))
    if not compared:
        raise DataError("no edit has both a score and a tracing effect; were the same facts edited and traced?")
    lines = pd.concat(by_layer, ignore_index=True)
    return pd.DataFrame(compared), lines[[*KEYS, *(name for name in lines if name not in KEYS)]]


def means_by_layer(scores: pd.DataFrame) -> pd.DataFrame:
    """Return the mean of every score over facts, by problem, editor and layer.

    Columns: problem, editor, metric (a column of `scores`), layer, value, low, high (95 % bootstrap), n; what was not
    measured is left out.
    """
    lines = []
    for (problem, editor, layer), rows in scores.groupby(["problem", "editor", "layer"], sort=False):
        for metric in SCORE_MEANS:
            found = mean_interval(rows[metric].to_numpy(float))
            if found.n:
                lines.append((problem, editor, metric, layer, found.mean, found.low, found.high, found.n))
    return pd.DataFrame(lines, columns=["problem", "editor", "metric", "layer", "value", "low", "high", "n"])


def read_scores(paths: Sequence[Path], mode: str) -> pd.DataFrame:
    """Return the scored edits of several files.

    Raises:
        DataError: a line is no edit, or an edit occurs twice.
    """
    chosen, rows, seen = mode_named(mode), [], set()
    for path in paths:
        for number, row in enumerate(read_jsonl(path), start=1):
            if not {"case_id", "problem", "editor", "layer", "before", "after"} <= row.keys():
                raise DataError(f"{path}, line {number}: expected a line of papers.localization.editing")
            key = tuple(row[name] for name in ("problem", "editor", "layer", "case_id"))
            if key in seen:
                raise DataError(f"{path}, line {number}: {key} was edited twice")
            seen.add(key)
            rows.append(score_edit(row, problem_named(row["problem"]), chosen))
    return score_frame(rows)


def read_effects(path: Path) -> pd.DataFrame:
    """Return the effects that `papers.localization.effects` wrote, with windows as text."""
    return pd.read_csv(path, dtype={"window": str})


def _write(frame: pd.DataFrame, path: Path) -> None:
    with atomic_path(path) as part:
        frame.to_csv(part, index=False, float_format="%.9g", lineterminator="\n")


@reported(log)
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m papers.localization.measure", description=__doc__.split("\n")[0])
    parser.add_argument(
        "--edits", type=Path, nargs="+", required=True, help="edits.jsonl of papers.localization.editing"
    )
    parser.add_argument("--effects", type=Path, required=True, help="effects.csv of papers.localization.effects")
    parser.add_argument("--mode", default="as_paper", help="as_paper (default) or as_released")
    parser.add_argument("--window", type=int, default=5, help="restored layers of the main analysis (default: 5)")
    parser.add_argument("--wide", type=int, default=10, help="restored layers of the second one (default: 10)")
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap")
    parser.add_argument("--scores", type=Path, required=True, help="scores to write, one line per edit")
    parser.add_argument("--means", type=Path, required=True, help="mean scores by layer to write")
    parser.add_argument("--regressions", type=Path, required=True, help="comparisons of models to write")
    parser.add_argument("--correlations", type=Path, required=True, help="correlations by layer to write")
    options = parser.parse_args(arguments)
    runtime.start_logging()
    scores, effects = read_scores(options.edits, options.mode), read_effects(options.effects)
    wanted = analyses(options.window, options.wide, ZEROED in set(effects["window"]))
    compared, by_layer = regressions(scores, effects, wanted, options.seed)
    _write(scores, options.scores)
    _write(means_by_layer(scores), options.means)
    _write(compared, options.regressions)
    _write(by_layer, options.correlations)
    log.info("%d edits, %d regressions", len(scores), len(compared))


if __name__ == "__main__":
    main()
