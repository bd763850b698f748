"""Trace the known facts through MLP windows of several sizes (§3, App. B), by the joint probability of o_true.

    python -m papers.localization.tracing --model results/models/world-small --cases counterfact.json --first 160 \\
        --facts facts.jsonl --windows 1 3 5 10 --zeroed 5 --out traces.jsonl

One line per fact: its probability clean and with the subject corrupted, and with the MLPs of each window restored at
each token from the subject on; with `--zeroed`, the probability with the MLPs of a window silent at the subject. The
long table and the effects by layer are made from these lines by `papers.localization.effects`.
"""

import argparse
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from papers.localization.corruption import NOISE_SEED, subject_range
from papers.localization.facts import read_facts, usable
from papers.localization.loading import add_case_options, load
from papers.localization.zeroing import zeroed_probabilities
from shared.data.probes import rewrite_prompt
from shared.data.requests import Case
from shared.editing.runs import blocks_of
from shared.errors import DataError, reported
from shared.model.models import LM
from shared.model.tokens import encode, target_ids
from shared.records import write_jsonl
from shared.traces.noise import Noise
from shared.traces.trace_runs import MAX_TOKENS, Corruption, TracedFact
from shared.traces.tracing import Restoration, trace_facts

log = logging.getLogger(__name__)
DIGITS = 8


def traced_fact(lm: LM, case: Case) -> TracedFact:
    """Return a case as a fact to trace: its prompt, its subject's tokens and its true object.

    Raises:
        DataError: the subject is not in the prompt, or there is no true object.
    """
    prompt, target = rewrite_prompt(case), case.request.target_true
    if target is None:
        raise DataError(f"case_id {case.case_id}: target_true is missing, so there is no probability to trace")
    ids = encode(lm, prompt)
    place = subject_range(lm, ids, case.request.subject)
    if place is None:
        raise DataError(f"case_id {case.case_id}: subject {case.request.subject!r} is not in the prompt {prompt!r}")
    return TracedFact(case.case_id, tuple(ids), *place, tuple(target_ids(lm, target)))


def trace_cases(
    lm: LM,
    cases: Sequence[Case],
    windows: Sequence[int],
    noise: float,
    *,
    samples: int = 10,
    zeroed: int | None = None,
    max_tokens: int = MAX_TOKENS,
) -> list[dict[str, Any]]:
    """Trace cases through MLP windows; every window size shares the clean and corrupted runs.

    Args:
        windows: numbers of layers restored together.
        noise: standard deviation of the noise on the subject.
        samples: corrupted runs per fact, from one seed for all facts.
        zeroed: also silence the MLPs of windows of so many layers.

    Returns:
        One row per case: `case_id`, `subject`, `prompt`, `target`, `tokens`, `subject_range`, `clean`, `corrupted`,
        `restored` (window → token from the subject on → layer), and `zeroed` (layer) where asked for.
    """
    facts = [traced_fact(lm, case) for case in cases]
    restorations = {window: Restoration("mlp", window) for window in windows}
    corruption = Corruption(Noise(scale=noise), samples, NOISE_SEED)
    traces = trace_facts(lm, facts, list(restorations.values()), corruption, max_tokens=max_tokens)
    silent = zeroed_probabilities(lm, facts, zeroed, max_tokens=max_tokens) if zeroed else None
    rows = []
    for place, (case, trace) in enumerate(zip(cases, traces, strict=True)):
        row = {
            "case_id": case.case_id,
            "subject": case.request.subject,
            "prompt": rewrite_prompt(case),
            "target": case.request.target_true,
            "tokens": [lm.tokenizer.decode([token]) for token in trace.fact.ids],
            "subject_range": [trace.fact.start, trace.fact.stop],
            "clean": round(trace.high, DIGITS),
            "corrupted": round(trace.low, DIGITS),
            "restored": {
                str(window): _rounded(trace.scores[restoration][trace.fact.start :].tolist())
                for window, restoration in restorations.items()
            },
        }
        rows.append(row if silent is None else row | {"zeroed": _rounded([silent[place].tolist()])[0]})
    return rows


def _rounded(table: list[list[float]]) -> list[list[float]]:
    return [[round(value, DIGITS) for value in line] for line in table]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m papers.localization.tracing", description=__doc__.split("\n")[0])
    add_case_options(parser)
    parser.add_argument("--facts", type=Path, required=True, help="facts.jsonl of papers.localization.selection")
    parser.add_argument("--windows", type=int, nargs="+", default=[1, 3, 5, 10], help="numbers of restored layers")
    parser.add_argument("--samples", type=int, default=10, help="corrupted runs averaged")
    parser.add_argument("--zeroed", type=int, help="also silence the MLPs of windows of so many layers")
    parser.add_argument("--max-tokens", type=int, default=MAX_TOKENS, help="tokens of one forward pass")
    parser.add_argument("--out", type=Path, required=True, help="traces.jsonl to write")
    return parser


def run(options: argparse.Namespace) -> int:
    """Write the traces that the command line asks for and return how many."""
    loaded = load(options)
    known = not options.unknown_too
    wanted = {fact.case_id for fact in read_facts(options.facts) if usable(fact, loaded.mode, known_only=known)}
    cases = [case for case in loaded.cases if case.case_id in wanted]
    if not cases:
        raise DataError(f"{options.facts}: the model knows none of the facts, so there is none to trace")

    def rows() -> Iterator[dict[str, Any]]:
        for block in tqdm(blocks_of(cases, options.shard, options.block), unit="block", disable=None):
            yield from trace_cases(
                loaded.lm,
                block,
                options.windows,
                loaded.noise,
                samples=options.samples,
                zeroed=options.zeroed,
                max_tokens=options.max_tokens,
            )

    return write_jsonl(options.out, rows())


@reported(log)
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    options = _parser().parse_args(arguments)
    count = run(options)
    log.info("%d traces written to %s", count, options.out)


if __name__ == "__main__":
    main()
