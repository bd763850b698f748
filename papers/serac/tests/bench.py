"""What routing is measured against: a memory whose edits are all encoded again for every question.

That is what the authors' code does at each call; here both paths take the same small random encoder and the same texts.
"""

import random
from collections.abc import Iterator

import torch
from torch import Tensor

from papers.serac.descriptor import Descriptor
from papers.serac.method import Routed, route
from papers.serac.scope import EmbeddingScope, squared_distances
from papers.serac.texts import scope_text
from shared.tests.families import WORDS, tiny_model
from tests.bench import Comparison, Setup

EDITS = 1000
# One at a time, each question takes as long as any other, and a thousand of them 80 s: a tenth says the same.
QUESTIONS = 100
# Log scores that differ by less are told apart by rounding alone.
TIE = 1e-4


def texts(rng: random.Random, count: int) -> list[str]:
    """Return random questions of five to twelve words."""
    return [" ".join(rng.choices(WORDS, k=rng.randint(5, 12))) for _ in range(count)]


@torch.no_grad()
def encoded_again(scope: EmbeddingScope, edits: list[Descriptor], questions: list[str]) -> Tensor:
    """Return log g of all pairs, question by question, encoding every edit each time."""
    written = [scope_text(edit, scope.tokenizer) for edit in edits]
    rows = [-squared_distances(scope.encode([question]), scope.encode(written))[0] for question in questions]
    return torch.stack(rows)


def otherwise_decided(scores: Tensor, routed: Routed) -> float:
    """Return how many questions go elsewhere than the scores of all pairs say, ties by rounding left out."""
    best = scores.max(1).values
    taken = scores.gather(1, routed.edit[:, None])[:, 0]
    elsewhere = (best - taken) > TIE
    return float((elsewhere | ((routed.log_score - best).abs() > TIE)).sum())


def comparisons(setup: Setup) -> Iterator[Comparison]:
    """Yield the comparison of routing; the setup's decoder is not used."""
    rng = random.Random(0)
    lm = tiny_model("bert_masked")
    scope = EmbeddingScope(lm.model.base_model, lm.tokenizer)
    edits = [Descriptor(text, rng.choice(WORDS)) for text in texts(rng, EDITS)]
    questions = texts(rng, QUESTIONS)

    def routed() -> Routed:
        scope.forget()
        return route(scope, edits, questions)

    yield Comparison(
        f"routing {QUESTIONS:,} questions with {EDITS:,} edits",
        20,
        lambda: encoded_again(scope, edits, questions),
        routed,
        otherwise_decided,
        "questions decided otherwise",
    )
