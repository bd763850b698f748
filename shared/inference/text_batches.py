"""Inputs and answers of any model family as batches whose predictions line up with their labels.

A learned editor sees a model as a function from (input, answer) to predictions of the answer. What differs between
families stands here alone: a decoder continues the input and predicts the next token, an encoder-decoder reads the
input and is fed the answer shifted right, a classifier has one logit for true.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from shared.errors import DataError
from shared.inference.answers import IGNORED, answer_ids, shift_right
from shared.inference.verdicts import REFUTES, SUPPORTS, verdict_logits
from shared.model.models import LM
from shared.model.tokens import target_ids

DECODER, SEQ2SEQ, CLASSIFIER = "decoder", "seq2seq", "classifier"


@dataclass(frozen=True)
class TextRow:
    """One input with the answer that is scored after it, as token ids; a classifier's answer is (0,) or (1,)."""

    source: tuple[int, ...]
    target: tuple[int, ...]


@dataclass(frozen=True)
class TextBatch:
    """Rows as a model's inputs.

    Attributes:
        inputs: keyword arguments of the model's forward pass.
        labels: the token that each position shall predict, `IGNORED` where none is asked for.
        mask: positions whose predictions locality compares: every token that a decoder reads, every answer token of an
            encoder-decoder, the one output of a classifier.
        binary: labels are 0 or 1, and the model has one logit.
    """

    inputs: Mapping[str, Tensor]
    labels: Int[Tensor, "row pos"]
    mask: Bool[Tensor, "row pos"]
    binary: bool = False

    def __len__(self) -> int:
        return len(self.labels)

    def select(self, rows: Int[Tensor, " kept"] | slice) -> "TextBatch":
        """Return some of the rows, with their padding."""
        inputs = {name: value[rows] for name, value in self.inputs.items()}
        return replace(self, inputs=inputs, labels=self.labels[rows], mask=self.mask[rows])


def family_of(model: nn.Module) -> str:
    """Return whether a model is a decoder, an encoder-decoder or a classifier."""
    if model.config.is_encoder_decoder:
        return SEQ2SEQ
    return CLASSIFIER if type(model).__name__.endswith("ForSequenceClassification") else DECODER


def encode_row(lm: LM, source: str, target: str) -> TextRow:
    """Return the token ids of an input and its answer, as the model's family writes them.

    A decoder's answer begins with a space; an encoder-decoder's ends with the end token, which it has to predict as
    well; a classifier's is SUPPORTS or REFUTES.

    Raises:
        DataError: an empty input or answer, or a claim's label that is neither.
    """
    if not source.strip():
        raise DataError(f"empty input with the answer {target!r}: an input must hold at least one character")
    family = family_of(lm.model)
    ids = lm.tokenizer.encode(source, add_special_tokens=family != DECODER)
    if family == CLASSIFIER:
        if target not in (SUPPORTS, REFUTES):
            raise DataError(f"claim {source!r} has the label {target!r}, expected {SUPPORTS} or {REFUTES}")
        return TextRow(tuple(ids), (int(target == SUPPORTS),))
    return TextRow(tuple(ids), tuple(answer_ids(lm, target) if family == SEQ2SEQ else target_ids(lm, target)))


def collate(lm: LM, rows: Sequence[TextRow]) -> TextBatch:
    """Return the rows as one batch, padded on the right."""
    device = lm.device
    family = family_of(lm.model)
    pad = lm.tokenizer.pad_token_id
    if family == DECODER:
        ids, mask = _padded([row.source + row.target for row in rows], pad, device)
        labels = torch.full_like(ids, IGNORED)
        for line, row in enumerate(rows):
            first = len(row.source) - 1  # the prediction of the first answer token is read at the last input token
            labels[line, first : first + len(row.target)] = torch.tensor(row.target, device=device)
        return TextBatch({"input_ids": ids, "attention_mask": mask.long()}, labels, mask)
    ids, attended = _padded([row.source for row in rows], pad, device)
    inputs = {"input_ids": ids, "attention_mask": attended.long()}
    if family == CLASSIFIER:
        labels = torch.tensor([row.target for row in rows], device=device)
        return TextBatch(inputs, labels, torch.ones_like(labels, dtype=torch.bool), binary=True)
    answers, mask = _padded([row.target for row in rows], pad, device)
    labels = answers.masked_fill(~mask, IGNORED)
    inputs["decoder_input_ids"] = shift_right(labels, lm.model.config.decoder_start_token_id, pad)
    return TextBatch(inputs, labels, mask)


def _padded(rows: Sequence[Sequence[int]], pad: int, device: torch.device) -> tuple[Tensor, Tensor]:
    width = max(len(row) for row in rows)
    ids = torch.tensor([[*row, *[pad] * (width - len(row))] for row in rows], device=device)
    lengths = torch.tensor([len(row) for row in rows], device=device)
    return ids, torch.arange(width, device=device)[None] < lengths[:, None]


def predictions(lm: LM, batch: TextBatch) -> Float[Tensor, "row pos out"]:
    """Return the model's logits at every position of a batch; a classifier has one position and one logit."""
    if batch.binary:
        return verdict_logits(lm, lm.model(**batch.inputs).logits)[:, None, None]
    return lm.model(**batch.inputs, use_cache=False).logits


def token_nll(logits: Float[Tensor, "row pos out"], batch: TextBatch) -> Float[Tensor, "row pos"]:
    """Return −log p of each label, zero where there is none (in nats)."""
    wide = torch.promote_types(logits.dtype, torch.float32)
    if batch.binary:
        signs = 2.0 * batch.labels - 1
        return nn.functional.softplus(-signs * logits[..., 0].to(wide))
    rows, columns = (batch.labels != IGNORED).nonzero(as_tuple=True)
    log_probs = logits[rows, columns].to(wide).log_softmax(-1)  # most positions of a decoder predict no label
    picked = log_probs.gather(-1, batch.labels[rows, columns][:, None])[:, 0]
    return log_probs.new_zeros(batch.labels.shape).index_put((rows, columns), -picked)


def divergence(
    before: Float[Tensor, "row pos out"], after: Float[Tensor, "row pos out"], batch: TextBatch
) -> Float[Tensor, "row pos"]:
    """Return KL(before ‖ after) at each position that locality compares, zero elsewhere (in nats).

    A classifier's is that of two Bernoulli distributions.
    """
    if batch.binary:
        before, after = (torch.cat([x, torch.zeros_like(x)], -1) for x in (before, after))
    wide = torch.promote_types(after.dtype, torch.float32)
    rows, columns = batch.mask.nonzero(as_tuple=True)
    left, right = (logits[rows, columns].to(wide).log_softmax(-1) for logits in (before, after))
    compared = (left.exp() * (left - right)).sum(-1)
    return compared.new_zeros(batch.mask.shape).index_put((rows, columns), compared)


def answered(logits: Float[Tensor, "row pos out"], batch: TextBatch) -> Bool[Tensor, " row"]:
    """Return whether each row's whole answer is what the model finds most probable, teacher-forced (MEND, §4)."""
    if batch.binary:
        return ((logits[..., 0] > 0) == (batch.labels == 1)).all(-1)
    rows, columns = (batch.labels != IGNORED).nonzero(as_tuple=True)
    wrong = logits[rows, columns].argmax(-1) != batch.labels[rows, columns]
    return torch.zeros(len(batch), device=logits.device).index_add(0, rows, wrong.float()) == 0
