"""Small problems on tiny random models of every family."""

import random
from functools import cache

from papers.t_patcher.problem import Example, Problem, Sources
from shared.inference.verdicts import REFUTES, SUPPORTS
from shared.model.models import LM
from shared.tests.families import WORDS, tiny_model
from shared.tests.tiny import tiny_lm

FAMILIES = ("gpt2", "gptj", "gpt_neox", "llama", "t5", "t5_gated", "bart", "bert_one_logit", "bert_two_classes")


@cache
def model_of(family: str) -> LM:
    """Return a tiny random model."""
    return tiny_lm(family) if family in ("gpt2", "gptj", "gpt_neox", "llama") else tiny_model(family)


def examples(family: str, count: int, seed: int) -> tuple[Example, ...]:
    """Return random questions, or claims, with random answers; nothing is to be known about them."""
    rng = random.Random(f"{family} {seed}")
    found = []
    for number in range(count):
        words = [" ".join(rng.sample(WORDS, 5)) for _ in range(3)]
        target = rng.choice([SUPPORTS, REFUTES]) if family.startswith("bert") else " ".join(rng.sample(WORDS[:12], 2))
        found.append(Example(number, words[0], target, tuple(words[1:])))
    return tuple(found)


def problem_of(family: str, edits: int = 6, others: int = 20) -> Problem:
    """Return an experiment on a tiny model."""
    parts = [examples(family, others, seed) for seed in range(1, 5)]
    return Problem(model_of(family), Sources(examples(family, edits, 0), *parts))
