"""How a masked language model fills the one `[MASK]` of a text."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from shared.errors import DataError
from shared.model.forward import token_batches
from shared.model.models import LM


@dataclass(frozen=True)
class ClozeScore:
    """How the model rates one word in the place of the mask.

    Attributes:
        log_prob: natural-log probability of the word.
        predicted: the most probable token.
        correct: whether that is the word.
    """

    log_prob: float
    predicted: int
    correct: bool


def word_id(lm: LM, word: str) -> int:
    """Return the one token that spells `word`.

    Raises:
        DataError: if the vocabulary spells it in several pieces, or does not know it.
    """
    ids = lm.tokenizer.encode(word, add_special_tokens=False)
    if len(ids) != 1 or ids[0] == lm.tokenizer.unk_token_id:
        pieces = lm.tokenizer.convert_ids_to_tokens(ids)
        raise DataError(f"{word!r} is {pieces} in the vocabulary of {lm.name}, expected one known token")
    return ids[0]


def mask_positions(lm: LM, ids: Int[Tensor, "row pos"]) -> Int[Tensor, " row"]:
    """Return where the mask stands in each row.

    Raises:
        DataError: if a row has no mask or several.
    """
    masks = ids == lm.tokenizer.mask_token_id
    counts = masks.sum(1)
    if bool((counts != 1).any()):
        row = int((counts != 1).nonzero()[0])
        raise DataError(f"text {lm.tokenizer.decode(ids[row])!r} has {int(counts[row])} masks, expected exactly one")
    return masks.to(torch.int64).argmax(1)


def cloze_log_probs(lm: LM, texts: Sequence[str]) -> Float[Tensor, "text vocab"]:
    """Return the natural-log probabilities of every token in the place of each text's mask, in one forward pass.

    Raises:
        DataError: a text without a mask, or with several.
    """
    batch = lm.tokenizer(list(texts), padding=True, return_tensors="pt").to(lm.device)
    places = mask_positions(lm, batch["input_ids"])
    logits = lm.model(**batch).logits[torch.arange(len(texts), device=lm.device), places]
    return logits.to(torch.promote_types(logits.dtype, torch.float32)).log_softmax(-1)


@torch.no_grad()
def score_cloze(lm: LM, texts: Sequence[str], answers: Sequence[str], *, max_tokens: int = 4096) -> list[ClozeScore]:
    """Score each answer, one token of the vocabulary, in the place of its text's mask.

    Raises:
        DataError: an answer of several tokens, or a text that has not exactly one mask.

    Cost: one forward pass over all texts, at most `max_tokens` padded tokens at a time.
    """
    wanted = [word_id(lm, answer) for answer in answers]
    lengths = [len(lm.tokenizer.encode(text)) for text in texts]
    scores: dict[int, ClozeScore] = {}
    for rows in token_batches(lengths, max_tokens):
        log_probs = cloze_log_probs(lm, [texts[row] for row in rows])
        best = log_probs.argmax(-1).tolist()
        for line, row in enumerate(rows):
            value = log_probs[line, wanted[row]].item()
            scores[row] = ClozeScore(value, best[line], best[line] == wanted[row])
    return [scores[row] for row in range(len(wanted))]
