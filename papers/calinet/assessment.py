"""Contrastive knowledge assessment (§2), and the other numbers that a calibrated model is judged by (§4.1)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from papers.calinet.calibration_facts import CalibrationFact
from shared.inference.scoring import score_targets
from shared.model.forward import pad_right, token_batches
from shared.model.models import LM
from shared.model.tokens import encode, target_ids


@dataclass(frozen=True)
class Assessment:
    """What a model says about one fact.

    Attributes:
        score: P(object | subject, relation) over its mean after contrasting relations, smoothed; below 1 the fact
            counts as false.
        probability: of the object's first token after the fact's own wording.
        rank: of that token among all, from 1.
        nll: of the right object's tokens in test wordings (nats, summed), and their number.
        false_nll: the same of the false object.
        exact: share of test wordings answered by the right object; overlap: mean F1 of the words.
        answer: what the model says in the first test wording, of as many tokens as the right object has.
    """

    score: float
    probability: float
    rank: int
    nll: float
    tokens: int
    false_nll: float
    false_tokens: int
    exact: float
    overlap: float
    answer: str


def contrast_score(own: float, contrasts: Sequence[float], alpha: float | int) -> float:
    """Return (P(o | s, r) + α) / (mean over r' of P(o | s, r') + α) (Eq. 1)."""
    return (own + alpha) / (float(np.mean(contrasts)) + alpha)


@torch.no_grad()
def contrast_scores(
    lm: LM, asked: Sequence[tuple[str, Sequence[str], str]], alpha: float | int, max_tokens: int = 2048
) -> list[float]:
    """Return the score of each (prompt, contrasts, object); P is of the first token, as in the authors' code."""
    prompts = [encode(lm, text) for prompt, contrasts, _ in asked for text in (prompt, *contrasts)]
    targets = [target_ids(lm, name)[:1] for _, contrasts, name in asked for _ in range(1 + len(contrasts))]
    scores = iter(score_targets(lm, prompts, targets, max_tokens=max_tokens))
    found = []
    for _, contrasts, _ in asked:
        own, *others = [next(scores).probability for _ in range(1 + len(contrasts))]
        found.append(contrast_score(own, others, alpha))
    return found


def word_overlap(found: str, wanted: str) -> float:
    """Return F1 of the words of two texts, lower-cased (SQuAD's; objects have no articles or punctuation to drop)."""
    left, right = (text.lower().split() for text in (found, wanted))
    common = sum(min(left.count(word), right.count(word)) for word in set(left))
    return 2 * common / (len(left) + len(right)) if common else 0.0


@torch.no_grad()
def assess(lm: LM, facts: Sequence[CalibrationFact], alpha: float | int, max_tokens: int = 2048) -> list[Assessment]:
    """Return what the model, as it is now, says about each fact.

    P is of the object's first token, as in the authors' code.

    Cost: one pass over each fact's own wording, its contrasts, and its test wordings with both objects.
    """
    prompts, targets = [], []
    for fact in facts:
        gold, false = target_ids(lm, fact.gold), target_ids(lm, fact.false)
        for prompt in (fact.train[0], *fact.contrasts):
            prompts.append(encode(lm, prompt))
            targets.append(gold[:1])
        for prompt in fact.test:
            prompts += [encode(lm, prompt)] * 2
            targets += [gold, false]
    scores = iter(score_targets(lm, prompts, targets, max_tokens=max_tokens))
    ranks = _ranks(lm, facts, max_tokens)
    return [_assessed(lm, fact, scores, rank, alpha) for fact, rank in zip(facts, ranks, strict=True)]


def _assessed(lm: LM, fact: CalibrationFact, scores, rank: int, alpha: float | int) -> Assessment:
    own, *contrasts = [next(scores).probability for _ in range(1 + len(fact.contrasts))]
    tests = [(next(scores), next(scores)) for _ in fact.test]
    answers = [lm.tokenizer.decode(list(right.predicted)).strip() for right, _ in tests]
    return Assessment(
        score=contrast_score(own, contrasts, alpha),
        probability=own,
        rank=rank,
        nll=-sum(sum(right.log_probs) for right, _ in tests),
        tokens=sum(len(right.log_probs) for right, _ in tests),
        false_nll=-sum(sum(false.log_probs) for _, false in tests),
        false_tokens=sum(len(false.log_probs) for _, false in tests),
        exact=float(np.mean([all(right.correct) for right, _ in tests])),
        overlap=float(np.mean([word_overlap(answer, fact.gold) for answer in answers])),
        answer=answers[0],
    )


def _ranks(lm: LM, facts: Sequence[CalibrationFact], max_tokens: int) -> list[int]:
    """Return the rank of each right object's first token among all tokens after the fact's own wording."""
    rows = [encode(lm, fact.train[0]) for fact in facts]
    found = [0] * len(facts)
    for indices in token_batches([len(row) for row in rows], max_tokens):
        ids = pad_right([rows[index] for index in indices], lm.tokenizer.pad_token_id, lm.device)
        logits = lm.model(ids, use_cache=False).logits
        for line, index in enumerate(indices):
            last = logits[line, len(rows[index]) - 1]
            found[index] = 1 + int((last > last[target_ids(lm, facts[index].gold)[0]]).sum())
    return found


@torch.no_grad()
def text_nll(lm: LM, texts: Sequence[str], length: int) -> list[tuple[float, int]]:
    """Return summed negative log-likelihood (nats) and number of predicted tokens of each text's beginning."""
    found = []
    for text in texts:
        ids = torch.tensor([encode(lm, text)[:length]], device=lm.device)
        log_probs = lm.model(ids, use_cache=False).logits[0, :-1].float().log_softmax(-1)
        found.append((-float(log_probs.gather(1, ids[0, 1:, None]).sum()), ids.shape[1] - 1))
    return found
