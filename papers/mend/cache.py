"""An editor that only looks up: answers are cached under the mean hidden state of their input (MEND, App. G).

An input whose mean hidden state lies within a threshold of a cached one gets the cached answer, any other one the base
model's. No weight changes and nothing is trained but the threshold.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from shared.errors import ConfigError
from shared.inference.text_batches import IGNORED, SEQ2SEQ, TextBatch, family_of, predictions
from shared.learning.edit_pools import Pool, Rows
from shared.learning.edit_success import OfBaseModel
from shared.learning.learned_editors import Edits, register_direct
from shared.model.models import LM


@dataclass(frozen=True)
class Cached:
    """What is stored of all edits: a key per answer position, the label there, and whose edit it is."""

    key: Float[Tensor, "entry width"]
    label: Int[Tensor, " entry"]
    position: Int[Tensor, " entry"]
    group: Int[Tensor, " entry"]


class Cache(OfBaseModel):
    """The lookup cache.

    Args:
        lm, modules, pool: unused but for the model's family; every direct method is built with them.
        threshold: greatest distance at which a cached answer is given.
        confidence: logit of a cached answer's token, all others having 0 (one-hot in the authors' code).

    Raises:
        ConfigError: a threshold that is not above 0.
    """

    def __init__(
        self,
        lm: LM,
        modules: Sequence[str],
        pool: Pool,
        *,
        threshold: float | int,
        confidence: float | int = 1.0,
    ):
        if not threshold > 0:
            raise ConfigError(f"cache: threshold is {threshold}, expected a distance above 0")
        self.threshold, self.confidence = threshold, confidence

    def prepare(self, lm: LM, edits: Edits) -> Cached:
        """Store the edits' keys and answers."""
        keys = input_keys(lm, edits.batch)
        row, position = (edits.batch.labels != IGNORED).nonzero(as_tuple=True)
        return Cached(keys[row, position], edits.batch.labels[row, position], position, edits.group[row])

    def answers(self, lm: LM, prepared: Cached, rows: Rows) -> Float[Tensor, "row pos out"]:
        """Return the base model's predictions with cached answers where an input is near a cached one.

        A decoder's position is compared with all positions of an edit; an encoder-decoder's input is compared as a
        whole, and step i answers with the cached answer's token i.
        """
        logits = predictions(lm, rows.batch).clone()
        keys = input_keys(lm, rows.batch)
        by_step = family_of(lm.model) == SEQ2SEQ
        for row, group in enumerate(rows.group.tolist()):
            own = (prepared.group == group).nonzero()[:, 0]
            distance = torch.cdist(keys[row], prepared.key[own])  # (pos, entry)
            if by_step:
                steps = torch.arange(len(keys[row]), device=logits.device)
                distance = distance.masked_fill(steps[:, None] != prepared.position[own][None], float("inf"))
            nearest, entry = distance.min(dim=1)
            for position in (nearest < self.threshold).nonzero()[:, 0].tolist():
                label = int(prepared.label[own[entry[position]]])
                self._answer(logits, row, position, label, rows.batch)
        return logits

    def _answer(self, logits: Tensor, row: int, position: int, label: int, batch: TextBatch) -> None:
        if batch.binary:
            logits[row, position] = self.confidence * (2 * label - 1)
        else:
            logits[row, position] = 0.0
            logits[row, position, label] = self.confidence


def input_keys(lm: LM, batch: TextBatch) -> Float[Tensor, "row pos width"]:
    """Return, for each position that predicts, the mean final hidden state of its input.

    For a decoder the mean over the tokens up to the position; for an encoder-decoder that over the question's tokens,
    for a classifier that over the claim's. Padding is left out (the authors' code counts it).
    """
    present = batch.inputs["attention_mask"][..., None].float()
    if family_of(lm.model) == SEQ2SEQ:
        ids, attended = batch.inputs["input_ids"], batch.inputs["attention_mask"]
        states = lm.model.get_encoder()(input_ids=ids, attention_mask=attended).last_hidden_state
    else:
        inputs = {name: batch.inputs[name] for name in ("input_ids", "attention_mask")}
        states = lm.model.base_model(**inputs).last_hidden_state
    if family_of(lm.model) == "decoder":
        counts = torch.arange(1, states.shape[1] + 1, device=states.device)[None, :, None]
        return (states * present).cumsum(1) / counts
    mean = (states * present).sum(1) / present.sum(1)
    return mean[:, None].expand(-1, batch.labels.shape[1], -1)


register_direct("cache", Cache)
