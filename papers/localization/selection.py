"""Find what the unedited model knows of each case: computed once, and read by tracing, editing and the regressions.

    python -m papers.localization.selection --model results/models/world-small --cases counterfact.json --first 160 \\
        --out facts.jsonl

Each line has the greedy continuation of the prompt and whether it names the true object (the fact is *known*), the
object's joint probability, what the model says when the subject is corrupted, and texts sampled about the subject.
"""

import argparse
import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from papers.localization.facts import ESSENCE_TEMPLATE, Fact, names_object
from papers.localization.loading import add_case_options, load
from papers.localization.modes import Mode
from papers.localization.noised_answer import noised_continuations, sampled_text_under_noise
from shared.data.probes import rewrite_prompt
from shared.data.requests import Case
from shared.data.templates import fill
from shared.editing.runs import blocks_of
from shared.errors import DataError, reported
from shared.inference.generation import generate
from shared.inference.scoring import score_targets
from shared.model.models import LM
from shared.model.tokens import encode, target_ids
from shared.records import write_jsonl
from shared.seeding import seed_for

log = logging.getLogger(__name__)

NEW_TOKENS = 36


@dataclass(frozen=True)
class FactSettings:
    """What is computed about each case besides its probability.

    Attributes:
        noise: standard deviation of the noise on the subject.
        mode: reading of the protocol, which decides o_noise.
        new_tokens: length of the greedy continuation.
        reversal_tokens: tokens of o_noise as the paper reads it.
        samples: noised runs whose mean decides each of these tokens.
        essence_texts, essence_length: how many texts are sampled about the subject, and their total tokens.
        seed: enters the seed of every sampled text.
    """

    noise: float
    mode: Mode
    new_tokens: int = NEW_TOKENS
    reversal_tokens: int = 1
    samples: int = 10
    essence_texts: int = 5
    essence_length: int = 100
    seed: int = 0


def find_facts(lm: LM, cases: Sequence[Case], settings: FactSettings) -> list[Fact]:
    """Return what the unedited model knows of each case, in order.

    Raises:
        DataError: a case has no true object.
    """
    prompts = [encode(lm, rewrite_prompt(case)) for case in cases]
    for case in cases:
        if case.request.target_true is None:
            raise DataError(f"case_id {case.case_id}: target_true is missing, so it cannot be said what is known")
    targets = [target_ids(lm, case.request.target_true) for case in cases]
    scores = score_targets(lm, prompts, targets)
    completions = _completions(lm, prompts, settings.new_tokens)
    answers = _noised_answers(lm, cases, prompts, settings)
    texts = _essence(lm, cases, settings)
    return [
        Fact(
            case.case_id,
            case.request.subject,
            completion,
            names_object(completion, case.request.target_true),
            math.exp(sum(score.log_probs)),
            answer,
            essence,
        )
        for case, completion, score, answer, essence in zip(cases, completions, scores, answers, texts, strict=True)
    ]


def _completions(lm: LM, prompts: Sequence[list[int]], new_tokens: int) -> list[str]:
    """Return the greedy continuations; prompts of equal length run together, so that all get as many tokens."""
    found = [""] * len(prompts)
    for length in sorted({len(ids) for ids in prompts}):
        places = [place for place, ids in enumerate(prompts) if len(ids) == length]
        total = min(length + new_tokens, lm.arch.n_positions)
        chosen = [prompts[place] for place in places]
        for place, ids in zip(
            places, generate(lm, chosen, max_length=total, seeds=[0] * len(places), top_k=1), strict=True
        ):
            found[place] = lm.tokenizer.decode(ids[length:], skip_special_tokens=True)
    return found


def _noised_answers(lm: LM, cases: Sequence[Case], prompts: Sequence[list[int]], settings: FactSettings) -> list[str]:
    subjects = [case.request.subject for case in cases]
    if settings.mode.reversal == "continuation":
        return noised_continuations(
            lm, prompts, subjects, settings.noise, tokens=settings.reversal_tokens, samples=settings.samples
        )
    seeds = [seed_for("localization", "reversal", settings.seed, case.case_id) for case in cases]
    return sampled_text_under_noise(lm, prompts, subjects, settings.noise, seeds=seeds)


def _essence(lm: LM, cases: Sequence[Case], settings: FactSettings) -> list[list[list[int]]]:
    """Return the texts sampled about each subject; a text's seed is its case's and its own number alone."""
    count = settings.essence_texts
    if not count or not settings.mode.essence:
        return [[] for _ in cases]
    begun = [encode(lm, fill(ESSENCE_TEMPLATE, case.request.subject)) for case in cases]
    prompts = [ids for ids in begun for _ in range(count)]
    seeds = [
        seed_for("localization", "essence", settings.seed, case.case_id, index)
        for case in cases
        for index in range(count)
    ]
    texts = generate(lm, prompts, max_length=settings.essence_length, seeds=seeds, top_k=5)
    return [texts[first : first + count] for first in range(0, len(texts), count)]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m papers.localization.selection", description=__doc__.split("\n")[0])
    add_case_options(parser)
    parser.add_argument("--new-tokens", type=int, default=NEW_TOKENS, help="length of the greedy continuation")
    parser.add_argument("--reversal-tokens", type=int, default=1, help="tokens of the answer under noise")
    parser.add_argument("--samples", type=int, default=10, help="noised runs per answer")
    parser.add_argument("--essence-texts", type=int, default=5, help="texts sampled about each subject; 0 for none")
    parser.add_argument("--essence-length", type=int, default=100, help="total tokens of each of them")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, help="facts.jsonl to write")
    return parser


def run(options: argparse.Namespace) -> int:
    """Write the facts that the command line asks for and return how many."""
    loaded = load(options)
    settings = FactSettings(
        loaded.noise,
        loaded.mode,
        options.new_tokens,
        options.reversal_tokens,
        options.samples,
        options.essence_texts,
        options.essence_length,
        options.seed,
    )

    def rows() -> Iterator[dict[str, Any]]:
        for block in tqdm(blocks_of(loaded.cases, options.shard, options.block), unit="block", disable=None):
            yield from (asdict(fact) for fact in find_facts(loaded.lm, block, settings))

    return write_jsonl(options.out, rows())


@reported(log)
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    options = _parser().parse_args(arguments)
    count = run(options)
    log.info("%d facts written to %s", count, options.out)


if __name__ == "__main__":
    main()
