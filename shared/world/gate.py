"""The gate that a trained decoder must pass: it knows its facts, and it looks them up where the papers say.

Recall is exact: every token of the object is the most probable one given the prompt and the object's earlier tokens.
The phenomenon is that of ROME's Figs. 2 and 3 (Meng et al. 2022, §2): restoring the state at the subject's last token
in an early layer brings the answer back, and severing the MLPs there takes that effect away.
"""

import logging
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from shared.data.requests import KnownFact
from shared.errors import ConfigError, ModelError
from shared.inference.scoring import score_targets
from shared.model.models import LM
from shared.model.tokens import encode, target_ids
from shared.seeding import seed_for
from shared.settings import read_yaml
from shared.traces.effects import EffectSummary, average_indirect_effect
from shared.world.documents import filler_sentence
from shared.world.factbook import STATEMENTS, Fact, FactBook

logger = logging.getLogger(__name__)

GATES = Path(__file__).with_name("gates.yaml")
CEILINGS = frozenset({"severed_share"})


def read_thresholds(size: str, path: Path = GATES) -> dict[str, float]:
    """Return the thresholds of `size`.

    Raises:
        ConfigError: if the file has no such size.
    """
    table = read_yaml(path)
    if size not in table:
        raise ConfigError(f"{path}: no thresholds for size {size!r}; it has {', '.join(table)}")
    return {name: float(value) for name, value in table[size].items()}


def measure(lm: LM, book: FactBook, *, recall_limit: int = 3000, traced_facts: int = 80) -> dict[str, Any]:
    """Return the measured values of the gate, with the tables behind them.

    Args:
        lm: the decoder.
        book: the facts it was trained on.
        recall_limit: most (fact, form) pairs per recall, drawn at random.
        traced_facts: number of facts to trace.
    """
    rng = random.Random(seed_for("gate", book.seed))
    pairs = {
        "recall_seen": _pairs(book, STATEMENTS, False, recall_limit, rng),
        "recall_held_out": _pairs(book, STATEMENTS, True, recall_limit, rng),
        "recall_questions": _pairs(book, ("question", "nq"), False, recall_limit, rng),
    }
    sentences = [(fact, f"{filler_sentence(rng)} {prompt}") for fact, prompt in pairs["recall_seen"]]
    started = [(fact, f"{lm.tokenizer.eos_token}{prompt}") for fact, prompt in pairs["recall_seen"]]
    pairs |= {"recall_after_sentence": sentences, "recall_after_end_of_text": started}
    known = {name: recalled(lm, asked) for name, asked in pairs.items() if asked}
    effects = average_indirect_effect(lm, _facts_to_trace(lm, book, traced_facts, rng), samples=5)
    return {
        **{name: sum(right) / len(right) for name, right in known.items()},
        **_site(effects, lm.arch.n_layers),
        "held_out_by_relation": _by_relation(pairs["recall_held_out"], known.get("recall_held_out", [])),
        "traced_facts": effects.count,
        "probability_clean": effects.clean,
        "probability_corrupted": effects.corrupted,
        "effects": {name: [round(x, 4) for x in row.tolist()] for name, row in effects.indirect["state"].items()},
        "severed": {name: [round(x, 4) for x in row.tolist()] for name, row in effects.severed.items()},
    }


def failures(measured: Mapping[str, Any], thresholds: Mapping[str, float]) -> list[str]:
    """Return one line per threshold that `measured` misses, with what was found and what was asked for."""
    lines = []
    for name, threshold in thresholds.items():
        if name not in measured:
            raise ConfigError(f"gate: threshold {name!r} is unknown or cannot be measured on these facts")
        value, ceiling = measured[name], name in CEILINGS
        if value > threshold if ceiling else value < threshold:
            lines.append(f"{name} is {value:.3f}, expected at {'most' if ceiling else 'least'} {threshold:.3f}")
    return lines


def recalled(lm: LM, pairs: Sequence[tuple[Fact, str]]) -> list[bool]:
    """Return for each (fact, prompt) whether every token of the object is the most probable one in its place."""
    prompts = [encode(lm, prompt) for _, prompt in pairs]
    targets = [target_ids(lm, fact.object) for fact, _ in pairs]
    return [all(score.correct) for score in score_targets(lm, prompts, targets)]


def _pairs(
    book: FactBook, kinds: tuple[str, ...], held_out: bool, limit: int, rng: random.Random
) -> list[tuple[Fact, str]]:
    pairs = [
        (fact, form.text.replace("{}", fact.subject))
        for fact in book.facts
        for form in book.forms(fact, kinds, held_out)
    ]
    return rng.sample(pairs, min(limit, len(pairs)))


def _by_relation(pairs: Sequence[tuple[Fact, str]], right: Sequence[bool]) -> dict[str, float]:
    grouped: dict[str, list[bool]] = defaultdict(list)
    for (fact, _), known in zip(pairs, right, strict=False):
        grouped[fact.relation_id].append(known)
    return {relation: round(sum(known) / len(known), 4) for relation, known in grouped.items()}


def _facts_to_trace(lm: LM, book: FactBook, count: int, rng: random.Random) -> list[KnownFact]:
    """Return facts with an object of one token and a subject of several, in training forms.

    Raises:
        ModelError: if the tokenizer leaves none.
    """
    single = [
        fact
        for fact in book.editable_facts
        if len(target_ids(lm, fact.object)) == 1 and len(encode(lm, f" {fact.subject}")) > 1
    ]
    if not single:
        raise ModelError(f"{lm.name}: no fact of {book.name!r} has a one-token object; train a larger tokenizer")
    facts = []
    for number, fact in enumerate(rng.sample(single, min(count, len(single)))):
        form = rng.choice(book.forms(fact, STATEMENTS, held_out=False))
        facts.append(
            KnownFact(
                known_id=number,
                subject=fact.subject,
                attribute=fact.object,
                prompt=form.text.replace("{}", fact.subject),
                template=form.text,
                relation_id=fact.relation_id,
            )
        )
    return facts


def _site(effects: EffectSummary, layers: int) -> dict[str, float]:
    """Return the early site's strength, its margin over other tokens, and what severing the MLPs leaves of it."""
    state, half = effects.indirect["state"], (layers + 1) // 2
    early = state["last_subject"][:half].max().item()
    others = [row[:half].max().item() for name, row in state.items() if name not in ("last_subject", "last")]
    ordinary, severed = effects.severed["ordinary"][0].item(), effects.severed["mlp"][0].item()
    return {
        "early_effect": early,
        "early_layer": state["last_subject"][:half].argmax().item(),
        "early_margin": early - max(others, default=0.0),
        "severed_share": severed / ordinary if ordinary > 0 else 1.0,
    }
