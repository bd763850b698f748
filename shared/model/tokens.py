"""Token boundaries: the only module that knows about leading spaces, subject spans and lookup positions.

A template holds one `{}` for the subject. Byte-pair vocabularies spell a word differently at the start of a text and
after a space, so every function here decides once whether a piece carries its space.
"""

from dataclasses import dataclass, field
from typing import Literal

from jaxtyping import Float
from torch import Tensor

from shared.data.templates import split_template
from shared.errors import DataError
from shared.model.models import LM

FactToken = Literal["subject_first", "subject_last", "subject_first_after_last", "last"]


def encode(lm: LM, text: str) -> list[int]:
    """Return the token ids of `text`, without special tokens (the authors' code never prepends one)."""
    return lm.tokenizer.encode(text, add_special_tokens=False)


def target_ids(lm: LM, target: str) -> list[int]:
    """Return the ids of a target as it continues a prompt: with one leading space.

    Raises:
        DataError: if the target is empty.
    """
    if not target.strip():
        raise DataError(f"empty target {target!r}: a target must hold at least one character")
    return encode(lm, target if target.startswith(" ") else f" {target}")


@dataclass(frozen=True)
class Prompt:
    """A template with its subject, as tokens.

    Attributes:
        ids: tokens of the whole prompt.
        start, stop: token range [start, stop) of the subject.
        lookup: position of the token whose key or value an edit changes.
        noise: added to the token embeddings of the first `len(noise)` positions, or None
            (`shared.traces.subject_noise`).
    """

    ids: list[int]
    start: int
    stop: int
    lookup: int
    noise: Float[Tensor, "pos d_model"] | None = field(default=None, compare=False)


def encode_prompt(lm: LM, template: str, subject: str, fact_token: str = "subject_last") -> Prompt:
    """Tokenise prefix, subject and suffix separately and locate the subject (ROME §3.1; §2.4 of the authors' lookup).

    Byte-pair merges do not cross a space, so the pieces joined equal the prompt tokenised whole wherever the prefix
    ends with a space; suffixes that begin with punctuation are safe too.

    Args:
        template: text with one `{}`; what precedes it is empty or ends with a space.
        subject: name put into the slot.
        fact_token: which token `lookup` points at, one of `FactToken`.

    Raises:
        DataError: wrong number of slots, a slot glued to a word, or an unknown `fact_token`.
    """
    before, after = split_template(template)
    word = subject.strip()
    if before:
        if not before.endswith(" "):
            raise DataError(f"template {template!r}: the text before '{{}}' must end with a space")
        before, word = before[:-1], f" {word}"
    prefix = encode(lm, before) if before else []
    middle = encode(lm, word)
    suffix = encode(lm, after) if after else []
    start, stop = len(prefix), len(prefix) + len(middle)
    total = stop + len(suffix)
    places = {
        "subject_first": start,
        "subject_last": stop - 1,
        "subject_first_after_last": stop if suffix else stop - 1,
        "last": total - 1,
    }
    if fact_token not in places:
        raise DataError(f"fact_token {fact_token!r} is unknown; choose one of {', '.join(places)}")
    return Prompt(prefix + middle + suffix, start, stop, places[fact_token])


def find_subject(lm: LM, ids: list[int], subject: str) -> tuple[int, int]:
    """Return the token range [start, stop) that spells `subject` inside a tokenised text (first occurrence).

    Tokens are decoded one by one and joined, so the token that carries the leading space counts as the start.

    Raises:
        DataError: if the subject does not occur.
    """
    pieces = [lm.tokenizer.decode([token]) for token in ids]
    text = "".join(pieces)
    begin = text.find(subject)
    if begin < 0:
        raise DataError(f"subject {subject!r} is not in the prompt {text!r}")
    end = begin + len(subject)
    start = stop = None
    reached = 0
    for index, piece in enumerate(pieces):
        reached += len(piece)
        if start is None and reached > begin:
            start = index
        if stop is None and reached >= end:
            stop = index + 1
            break
    assert start is not None
    assert stop is not None
    return start, stop
