"""Open-domain sentences about facts, with one word hidden (§4.5, after the authors' BingRel)."""

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from shared.errors import DataError
from shared.records import read_json

Gap = tuple[str, str]
FIRST_WORDS = 50


@dataclass(frozen=True)
class Bags:
    """Sentences that name a fact's head and tail, and sentences that name its head only."""

    both: tuple[str, ...]
    head: tuple[str, ...]


def read_bags(path: str | Path) -> dict[str, list[Bags]]:
    """Return the sentences by relation, in the order of the relation's facts.

    Raises:
        DataError: the file is not a mapping of relations to lists with `th_bags` and `h_bags`.
    """
    raw = read_json(path)
    try:
        return {
            relation: [Bags(tuple(one["th_bags"]), tuple(one["h_bags"])) for one in facts]
            for relation, facts in raw.items()
        }
    except (AttributeError, KeyError, TypeError) as error:
        raise DataError(f"{path}: expected relation → [{{th_bags, h_bags}}, …]; got no {error}") from error


def _spans(sentence: str, word: str) -> list[tuple[int, int]]:
    return [match.span() for match in re.finditer(rf"(?<!\w){re.escape(word)}(?!\w)", sentence)]


def hide_tail(sentence: str, head: str, tail: str) -> Gap | None:
    """Return what stands before and after the tail, or None if it does not occur as a whole word outside the head."""
    heads = _spans(sentence, head)
    for start, stop in _spans(sentence, tail):
        if all(stop <= first or start >= last for first, last in heads):
            return sentence[:start], sentence[stop:]
    return None


def hide_word(sentence: str, head: str, rng: random.Random) -> Gap | None:
    """Return what stands before and after a random one of the first 50 words that is no part of the head."""
    heads = _spans(sentence, head) if head else []
    words = [match.span() for match in re.finditer(r"\w+", sentence)][:FIRST_WORDS]
    free = [span for span in words if all(span[1] <= first or span[0] >= last for first, last in heads)]
    if not free:
        return None
    start, stop = rng.choice(free)
    return sentence[:start], sentence[stop:]


def pool_of(bags: Mapping[str, Sequence[Bags]]) -> list[str]:
    """Return all sentences, from which random ones are drawn."""
    return [text for facts in bags.values() for own in facts for text in (*own.both, *own.head)]
