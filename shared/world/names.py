"""Pronounceable made-up names, drawn from a seeded generator and never equal to an English word used in a prompt."""

import random

ONSETS = ("b", "d", "f", "g", "k", "l", "m", "n", "p", "r", "s", "t", "v", "z", "br", "dr", "gr", "kr", "st", "tr")
VOWELS = ("a", "e", "i", "o", "u", "ai", "ei")
CODAS = ("n", "l", "r", "s", "k", "m", "th", "x", "")

# Capitalised words that prompts or titles may hold; a made-up name equal to one of them would be ambiguous.
RESERVED = frozenset(
    ("Do", "He", "Me", "My", "No", "So", "The", "To", "Man", "Ten", "Nine", "From", "Mr", "Old", "Saint")
)


class NameMaker:
    """Draws distinct made-up words; one maker per world, so that no two kinds of entity share a word."""

    def __init__(self, rng: random.Random):
        self._rng = rng
        self._used: set[str] = set(RESERVED)

    def word(self, syllables: int, ending: str | None = None) -> str:
        """Return a new capitalised word of `syllables` open syllables and a coda (or `ending` when given)."""
        while True:
            stem = "".join(self._rng.choice(ONSETS) + self._rng.choice(VOWELS) for _ in range(syllables))
            word = (stem + (self._rng.choice(CODAS) if ending is None else ending)).capitalize()
            if word not in self._used:
                self._used.add(word)
                return word

    def words(self, count: int, syllables: int, ending: str | None = None) -> list[str]:
        """Return `count` distinct new words, see `word`."""
        return [self.word(syllables, ending) for _ in range(count)]


def pair_names(rng: random.Random, first: list[str], second: list[str], count: int) -> list[str]:
    """Return `count` distinct two-word names "first second"; each word is shared by several names when `count` allows.

    Sharing is what makes a name informative only as a pair: neither word alone tells the subject.

    Raises:
        ValueError: if there are fewer than `count` pairs.
    """
    pairs = [f"{one} {two}" for one in first for two in second]
    if count > len(pairs):
        raise ValueError(f"{count} names asked for, but {len(first)} x {len(second)} words give only {len(pairs)}")
    return rng.sample(pairs, count)
