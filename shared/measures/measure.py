"""From the probe rows of a run to the metrics of its cases: `python -m shared.measures.measure --help`."""

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from shared import runtime
from shared.data.probes import OTHER_FACT, ProbeRow, read_rows
from shared.data.requests import read_counterfact
from shared.errors import reported
from shared.measures.metrics import METRIC_SETS, other_facts_kept, summarise
from shared.measures.text_metrics import ReferenceScorer, load_vectorizer, read_snippets
from shared.records import atomic_path

log = logging.getLogger(__name__)
PERCENT = 100
# Dataset → the metric set that a run on it is measured in unless it names another.
DEFINITIONS = {"counterfact": "rome", "zsre": "zsre_rome"}


def measure(rows: Sequence[ProbeRow], definition: str, references: ReferenceScorer | None = None) -> pd.DataFrame:
    """Return the metrics of each case, by editor and phase.

    Where rows ask about the subject's other facts, the share still known after the edit is one more column.

    Args:
        definition: name in `shared.measures.metrics.METRIC_SETS`.
        references: what generated texts are compared with, for definitions that do.
    """
    chosen = METRIC_SETS[definition]
    cases = chosen.per_case(rows, references) if chosen.compares_texts else chosen.per_case(rows)
    if any(row.kind == OTHER_FACT for row in rows):
        cases = cases.join(other_facts_kept(rows))
    return cases


def summary_of(cases: pd.DataFrame, definition: str) -> pd.DataFrame:
    """Return the means over cases with their intervals, one line per editor and metric, as printed.

    Columns: editor, metric, mean, low, high, normal_half_width (all in percent; entropies in 100 bits), n. Metrics
    without a value are left out.
    """
    summary = summarise(cases, definition)
    summary = summary[summary["n"] > 0]
    scaled = {name: summary[name] * PERCENT for name in ("mean", "low", "high", "normal_half_width")}
    return summary.assign(**scaled)[["editor", "metric", "mean", "low", "high", "normal_half_width", "n"]]


def write_frame(frame: pd.DataFrame, path: str | Path, *, index: bool) -> None:
    """Write a table as CSV; the same numbers give the same bytes."""
    with atomic_path(path) as part:
        frame.to_csv(part, index=index, float_format="%.9g", lineterminator="\n")


def _references(options: argparse.Namespace) -> ReferenceScorer | None:
    if options.snippets is None:
        return None
    vectorizer = load_vectorizer(options.idf, options.vocabulary) if options.idf else None
    cases = read_counterfact(options.cases)
    return ReferenceScorer.for_cases(cases, read_snippets(options.snippets), vectorizer)


@reported(log)
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m shared.measures.measure", description=__doc__)
    parser.add_argument("--probes", type=Path, required=True, help="probes.jsonl of one run")
    parser.add_argument("--dataset", choices=DEFINITIONS, required=True, help="decides which metrics are computed")
    parser.add_argument("--metrics", choices=METRIC_SETS, help="another metric set than the dataset's")
    parser.add_argument("--cases", type=Path, help="the dataset's file (for the reference score)")
    parser.add_argument("--snippets", type=Path, help="attribute_snippets.json; without it there is no reference score")
    parser.add_argument("--idf", type=Path, help="the authors' idf.npy; without it TF-IDF is fitted on the snippets")
    parser.add_argument("--vocabulary", type=Path, help="the authors' tfidf_vocab.json, with --idf")
    parser.add_argument("--per-case", type=Path, required=True, help="CSV to write, one line per editor and case")
    parser.add_argument("--summary", type=Path, required=True, help="CSV to write, means over cases with intervals")
    options = parser.parse_args(arguments)
    if options.snippets and not options.cases:
        parser.error("--snippets needs --cases")
    if bool(options.idf) != bool(options.vocabulary):
        parser.error("give --idf and --vocabulary together")
    definition = options.metrics or DEFINITIONS[options.dataset]
    runtime.start_logging()
    cases = measure(list(read_rows(options.probes)), definition, _references(options))
    write_frame(cases, options.per_case, index=True)
    write_frame(summary_of(cases, definition), options.summary, index=False)


if __name__ == "__main__":
    main()
