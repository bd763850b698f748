"""What trained slots say: the words that they promote, and how answers move as slots are added (§5)."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch

from papers.calinet.calibration_facts import CalibrationFact
from papers.calinet.slots import Slots
from shared.inference.text_batches import encode_row
from shared.model.models import LM
from shared.model.tokens import target_ids

TOP = 10


@torch.no_grad()
def promoted_words(lm: LM, slots: Slots, facts: Sequence[CalibrationFact], count: int) -> Iterator[dict[str, Any]]:
    """Yield, per slot, the tokens that its value promotes most, and their share that begin calibrated objects.

    A value is read as E·value, with E the output embedding, without the norm that stands before it (§5.3).
    """
    begins = torch.tensor(sorted({target_ids(lm, fact.gold)[0] for fact in facts}), device=lm.device)
    for slot, value in enumerate(slots.value[:count]):
        best = slots.layer.stack.unembedding(value).topk(TOP).indices
        words = " ".join(lm.tokenizer.decode([token]).strip() for token in best.tolist())
        yield {"slot": slot, "share": float(torch.isin(best, begins).double().mean()), "tokens": words}


@torch.no_grad()
def shift(lm: LM, slots: Slots, facts: Sequence[CalibrationFact], steps: int) -> Iterator[dict[str, Any]]:
    """Yield the mean probability of right and false objects' first tokens in test wordings, as slots are added."""
    asked = [encode_row(lm, prompt, fact.gold) for fact in facts for prompt in fact.test]
    false = [target_ids(lm, fact.false)[0] for fact in facts for _ in fact.test]
    states = slots.layer.observe(asked)
    starts = torch.tensor([int((states.row == row).nonzero()[0]) for row in range(states.n_rows)])
    total = len(slots.key)
    for count in sorted({round(total * step / steps) for step in range(steps + 1)}):
        probabilities = slots.layer.logits(slots.first(count).summed(states)[starts]).softmax(-1)
        right = probabilities.gather(1, states.label[starts, None])
        wrong = probabilities.gather(1, torch.tensor(false, device=right.device)[:, None])
        yield {"slots": count, "right": float(right.mean()), "false": float(wrong.mean()), "n": len(asked)}
