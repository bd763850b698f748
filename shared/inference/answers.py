"""Teacher-forced scores of answers by an encoder-decoder: it reads the question, and the answer so far.

The decoder's input is the answer shifted right behind its start token, so that each token is predicted from the ones
before it only; an input that is not shifted would show the decoder what it is to predict. The end token is part of the
answer: MEND (Mitchell et al. 2022) and Transformer-Patcher (Huang et al. 2023) count an answer as right only if the
model also stops there.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from shared.errors import DataError
from shared.inference.scoring import TargetScore
from shared.model.forward import pad_right, token_batches
from shared.model.models import LM

IGNORED = -100


@dataclass(frozen=True)
class AnswerBatch:
    """Questions and answers as one encoder-decoder batch.

    Attributes:
        input_ids: tokens of the questions, padded on the right.
        attention_mask: 1 at tokens, 0 at padding.
        decoder_input_ids: the answers shifted right behind the start token.
        labels: the answers with their end token; -100 at padding, which losses leave out.
    """

    input_ids: Int[Tensor, "row pos"]
    attention_mask: Int[Tensor, "row pos"]
    decoder_input_ids: Int[Tensor, "row step"]
    labels: Int[Tensor, "row step"]

    def inputs(self) -> dict[str, Tensor]:
        """Return the model's arguments; its logits stand against `labels` position by position."""
        return {
            "input_ids": self.input_ids,
            "attention_mask": self.attention_mask,
            "decoder_input_ids": self.decoder_input_ids,
        }


def answer_ids(lm: LM, answer: str) -> list[int]:
    """Return the tokens of an answer and the end token.

    Raises:
        DataError: if the answer is empty.
    """
    return _ids(lm.tokenizer, answer)


def _ids(tokenizer: PreTrainedTokenizerBase, answer: str) -> list[int]:
    if not answer.strip():
        raise DataError(f"empty answer {answer!r}: an answer must hold at least one character")
    return [*tokenizer.encode(answer, add_special_tokens=False), tokenizer.eos_token_id]


def shift_right(labels: Int[Tensor, "row step"], start: int, pad: int) -> Int[Tensor, "row step"]:
    """Return what the decoder reads to predict `labels`: the start token, then every label but the last."""
    shifted = torch.cat([torch.full_like(labels[:, :1], start), labels[:, :-1]], dim=1)
    return shifted.masked_fill(shifted == IGNORED, pad)


def answer_batch(lm: LM, questions: Sequence[str], answers: Sequence[str]) -> AnswerBatch:
    """Return a batch on the model's device; questions are tokenised as the tokenizer does by default.

    Raises:
        DataError: an empty answer.
    """
    return batch_of(lm.tokenizer, questions, answers, start=lm.model.config.decoder_start_token_id, device=lm.device)


def batch_of(
    tokenizer: PreTrainedTokenizerBase,
    questions: Sequence[str],
    answers: Sequence[str],
    *,
    start: int,
    device: torch.device | str = "cpu",
) -> AnswerBatch:
    """Return the batch that `answer_batch` does, without a model; `start` is the token the decoder starts from."""
    asked = tokenizer(list(questions), padding=True, return_tensors="pt").to(device)
    labels = pad_right([_ids(tokenizer, answer) for answer in answers], IGNORED, device)
    return AnswerBatch(
        input_ids=asked["input_ids"],
        attention_mask=asked["attention_mask"],
        decoder_input_ids=shift_right(labels, start, tokenizer.pad_token_id),
        labels=labels,
    )


def answer_log_probs(lm: LM, batch: AnswerBatch) -> Float[Tensor, "row step vocab"]:
    """Return natural-log probabilities of every token at every step of a batch, in float32 at least."""
    logits = lm.model(**batch.inputs()).logits
    return logits.to(torch.promote_types(logits.dtype, torch.float32)).log_softmax(-1)


@torch.no_grad()
def score_answers(
    lm: LM, questions: Sequence[str], answers: Sequence[str], *, max_tokens: int = 4096
) -> list[TargetScore]:
    """Score each answer (its tokens and the end token) after its question, by the model as it is now.

    Args:
        questions: texts for the encoder.
        answers: texts for the decoder.
        max_tokens: bound on the padded tokens of one forward pass.

    Raises:
        DataError: an empty answer.

    Cost: one forward pass over all questions and answers. `all(score.correct)` is the exact match.
    """
    lengths = [
        len(lm.tokenizer.encode(question)) + len(answer_ids(lm, answer))
        for question, answer in zip(questions, answers, strict=True)
    ]
    scores: dict[int, TargetScore] = {}
    for rows in token_batches(lengths, max_tokens):
        batch = answer_batch(lm, [questions[row] for row in rows], [answers[row] for row in rows])
        log_probs = answer_log_probs(lm, batch)
        best = log_probs.argmax(-1)
        values = log_probs.gather(2, batch.labels.clamp(min=0)[:, :, None])[:, :, 0]
        for line, row in enumerate(rows):
            length = int((batch.labels[line] != IGNORED).sum())
            picked = best[line, :length]
            scores[row] = TargetScore(
                tuple(values[line, :length].tolist()),
                tuple(picked.tolist()),
                tuple((picked == batch.labels[line, :length]).tolist()),
            )
    return [scores[row] for row in range(len(lengths))]
