"""Trace known facts: clean, corrupted and restored runs (§2), severed curves (§2.3), integrated gradients (App. B.3).

    python -m papers.rome.tracing --model results/models/world-small --facts known_facts.json --window 3 --noise s3 \\
        --severed --out traces.jsonl
    python -m papers.rome.tracing --mode gradients --model … --facts known_facts.json --first 10 --out gradients.jsonl

One line per fact, in file order; facts whose answer the model does not predict are listed without scores. Averages and
curves are made from these lines by `papers.rome.effects`.
"""

import argparse
import itertools
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor
from tqdm import tqdm

from shared import runtime
from shared.data.requests import KnownFact, read_known_facts
from shared.editing.runs import blocks_of
from shared.errors import DataError, reported
from shared.model.models import LM, load_lm
from shared.records import write_jsonl
from shared.traces.effects import predicted_answers
from shared.traces.integrated_gradients import STEPS, integrated_gradients
from shared.traces.noise import make_noise
from shared.traces.severed import FrozenNoise, SeveredTrace, trace_severed
from shared.traces.trace_runs import MAX_TOKENS, Corruption, TracedFact, make_fact
from shared.traces.tracing import FactTrace, Restoration, RestorationKind, trace_facts

log = logging.getLogger(__name__)

KINDS: tuple[RestorationKind, ...] = ("state", "mlp", "attention")
DIGITS = 8


@dataclass(frozen=True)
class TraceSettings:
    """What is traced, besides the facts.

    Attributes:
        corruption: noise and samples.
        kinds: what is restored; none for severed curves only.
        window: layers of a restored MLP or attention window (the paper: 10 of 48).
        severed: also trace with MLPs and with attention severed at the last subject token.
        frozen_noise: see `shared.traces.severed.trace_severed`.
        only_correct: leave out facts whose answer the model does not predict. The authors do so for heatmaps but not
            for their severed curves; one filter serves both here.
        max_tokens: bound on the tokens of one forward pass.
    """

    corruption: Corruption
    kinds: tuple[RestorationKind, ...] = KINDS
    window: int = 10
    severed: bool = False
    frozen_noise: FrozenNoise = "next"
    only_correct: bool = True
    max_tokens: int = MAX_TOKENS

    @property
    def restorations(self) -> list[Restoration]:
        """The restorations that `kinds` and `window` mean."""
        return [Restoration(kind, 1 if kind == "state" else self.window) for kind in self.kinds]


def _numbers(values: Tensor) -> list:
    """Return nested lists, rounded to the digits that float32 holds so that files stay small and stable."""
    if values.ndim > 1:
        return [_numbers(row) for row in values]
    return [float(f"{value:.{DIGITS}g}") for value in values.tolist()]


def _number(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def _head(lm: LM, fact: TracedFact, prompt: str, subject: str) -> dict[str, Any]:
    return {
        "known_id": fact.fact_id,
        "prompt": prompt,
        "subject": subject,
        "tokens": [lm.tokenizer.decode([token]) for token in fact.ids],
        "subject_range": [fact.start, fact.stop],
    }


def _scores(lm: LM, facts: Sequence[TracedFact], settings: TraceSettings) -> list[dict[str, Any]]:
    """Trace facts together and return the measured part of each one's row."""
    rows: list[dict[str, Any]] = [{} for _ in facts]
    if settings.kinds:
        traces = trace_facts(lm, facts, settings.restorations, settings.corruption, max_tokens=settings.max_tokens)
        for row, trace in zip(rows, traces, strict=True):
            row |= _ends(trace)
            row["scores"] = {restoration.kind: _numbers(scores) for restoration, scores in trace.scores.items()}
    if settings.severed:
        frozen = settings.frozen_noise
        curves = trace_severed(lm, facts, settings.corruption, frozen_noise=frozen, max_tokens=settings.max_tokens)
        for row, trace in zip(rows, curves, strict=True):
            row |= _ends(trace)
            row["severed"] = {"ordinary": _numbers(trace.ordinary)}
            row["severed"] |= {site: _numbers(curve) for site, curve in trace.severed.items()}
    return rows


def _ends(trace: FactTrace | SeveredTrace) -> dict[str, float]:
    return {"high": _number(trace.high), "low": _number(trace.low)}


def trace_block(lm: LM, facts: Sequence[KnownFact], settings: TraceSettings) -> list[dict[str, Any]]:
    """Return one row per fact; those the model does not know have `correct: false` and, by default, no scores.

    Args:
        facts: traced together; their numbers depend on the company only through float rounding (≤ 1e-6).
    """
    traced = [make_fact(lm, fact.prompt, fact.subject, fact_id=fact.known_id) for fact in facts]
    answers = predicted_answers(lm, traced, settings.max_tokens)
    correct = [answer.strip() == fact.attribute for answer, fact in zip(answers, facts, strict=True)]
    chosen = [right or not settings.only_correct for right in correct]
    kept = list(itertools.compress(traced, chosen))
    scores = iter(_scores(lm, kept, settings) if kept else [])
    rows = []
    for fact, own, answer, right, measured in zip(facts, traced, answers, correct, chosen, strict=True):
        head = _head(lm, own, fact.prompt, fact.subject)
        row = {**head, "attribute": fact.attribute, "answer": answer, "correct": right}
        rows.append({**row, **next(scores)} if measured else row)
    return rows


def trace_prompt(lm: LM, prompt: str, subject: str, settings: TraceSettings) -> dict[str, Any]:
    """Trace one prompt of one's own, whatever the model answers, as a row like those of `trace_block`.

    Raises:
        DataError: the subject is not in the prompt.
    """
    fact = make_fact(lm, prompt, subject)
    [answer] = predicted_answers(lm, [fact])
    return {**_head(lm, fact, prompt, subject), "answer": answer, **_scores(lm, [fact], settings)[0]}


def gradient_block(
    lm: LM, facts: Sequence[KnownFact], kinds: Sequence[RestorationKind], steps: int, max_tokens: int
) -> list[dict[str, Any]]:
    """Return one row per known fact with its integrated-gradients maps (App. B.3, Fig. 16)."""
    traced = [make_fact(lm, fact.prompt, fact.subject, fact_id=fact.known_id) for fact in facts]
    rows = []
    for fact, own, answer in zip(facts, traced, predicted_answers(lm, traced, max_tokens), strict=True):
        row = {**_head(lm, own, fact.prompt, fact.subject), "attribute": fact.attribute, "answer": answer}
        row["correct"] = answer.strip() == fact.attribute
        if row["correct"]:
            maps = integrated_gradients(lm, own, kinds, steps=steps, max_tokens=max_tokens)
            row["gradients"] = {kind: _numbers(found.norms) for kind, found in maps.items()}
            row["completeness"] = {
                kind: {"totals": _numbers(found.totals), "differences": _numbers(found.differences)}
                for kind, found in maps.items()
            }
        rows.append(row)
    return rows


def _texts(path: Path | None) -> Iterator[str]:
    if path is None:
        return
    if not path.is_file():
        raise DataError(f"{path}: no such file; noise rules m and t need a text with one document per line")
    with open(path, encoding="utf-8") as lines:
        yield from (line.rstrip("\n") for line in lines if line.strip())


def _rows(lm: LM, facts: Sequence[KnownFact], options: argparse.Namespace) -> Iterator[Mapping[str, Any]]:
    chosen = facts[: options.first]
    blocks = blocks_of(chosen, options.shard, options.block)
    progress = tqdm(total=sum(map(len, blocks)), desc=f"{options.mode} {lm.name}", unit="fact", disable=None)
    if options.mode == "trace":
        # The noise scale belongs to the dataset: it is measured on all subjects of the file, not on those traced.
        noise = make_noise(lm, options.noise, [fact.subject for fact in facts], _texts(options.texts))
        corruption = Corruption(noise, options.samples, options.seed, options.extra_tokens)
        settings = TraceSettings(
            corruption=corruption,
            kinds=tuple(options.kinds),
            window=options.window,
            severed=options.severed,
            frozen_noise=options.frozen_noise,
            only_correct=not options.unfiltered,
            max_tokens=options.max_tokens,
        )
    with progress:
        for block in blocks:
            if options.mode == "trace":
                rows = trace_block(lm, block, settings)
            else:
                rows = gradient_block(lm, block, options.kinds, options.steps, options.max_tokens)
            yield from rows
            progress.update(len(block))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m papers.rome.tracing", description=__doc__.split("\n")[0])
    parser.add_argument("--mode", choices=["trace", "gradients"], default="trace")
    parser.add_argument("--model", required=True, help="folder or hub id of the model")
    parser.add_argument("--facts", type=Path, required=True, help="known facts (format of known_1000.json)")
    parser.add_argument("--first", type=int, help="only the first N facts of the file (default: all)")
    parser.add_argument("--kinds", nargs="*", choices=KINDS, default=list(KINDS), help="what is restored")
    parser.add_argument("--window", type=int, default=10, help="layers of a restored MLP or attention window")
    parser.add_argument(
        "--severed", action="store_true", help="also freeze MLPs and attention at the last subject token"
    )
    parser.add_argument("--frozen-noise", choices=["next", "same"], default="next",
                        help="noise of the severed runs: a second draw (the authors' code) or the same")  # fmt: skip
    parser.add_argument("--unfiltered", action="store_true", help="also trace facts that the model answers wrongly")
    parser.add_argument("--noise", default="s3", help="s3, 0.1, u0.1, us3, m or t3; see shared/traces/noise.py")
    parser.add_argument("--texts", type=Path, help="one document per line, for the noise rules m and t")
    parser.add_argument("--samples", type=int, default=10, help="corrupted runs per fact")
    parser.add_argument("--extra-tokens", type=int, default=0, help="tokens after the subject corrupted too")
    parser.add_argument("--seed", type=int, default=1, help="seed of every fact's noise generator")
    parser.add_argument("--steps", type=int, default=STEPS, help="quadrature nodes of integrated gradients")
    parser.add_argument("--shard", default="1-of-1", help="which part of the facts, e.g. 2-of-8")
    parser.add_argument("--block", type=int, default=10, help="facts traced together")
    parser.add_argument("--max-tokens", type=int, default=MAX_TOKENS, help="tokens of one forward pass")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, required=True, help="file of rows (.jsonl) to write")
    return parser


@reported(log)
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    options = _parser().parse_args(arguments)
    device = runtime.start(options.threads, options.device)
    facts = read_known_facts(options.facts)
    lm = load_lm(options.model, device=device)
    count = write_jsonl(options.out, _rows(lm, facts, options))
    log.info("%d facts written to %s", count, options.out)


if __name__ == "__main__":
    main()
