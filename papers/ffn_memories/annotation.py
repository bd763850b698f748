"""What trigger examples have in common, by properties of the text in the place of people (Geva et al. 2021, §3.2).

A pattern is a property that at least three of a key's trigger examples share, and that is at least three times as
frequent among them as among random prefixes: the world has few relations and types, so three of 25 sentences agree in
most of them by chance. Shallow properties are of the prefix's tokens; semantic ones are what the world knows about the
sentence.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from papers.ffn_memories.sentences import NEUTRAL, Sentence

SHALLOW = ("last token", "last two tokens", "first token")
SEMANTIC = ("relation", "subject type", "wording")
COVERED = ("shallow", "both", "semantic", "not covered")
AT_LEAST = 3
LIFT = 3.0


@dataclass(frozen=True)
class Pattern:
    """A property, its value, and in how many of a key's trigger examples it holds."""

    kind: str
    value: str
    count: int


def properties(words: Sequence[str], sentence: Sentence) -> dict[str, str]:
    """Return the properties of a prefix; what is neutral is no property.

    Args:
        words: the prefix's tokens as text.
    """
    found = {"last token": words[-1], "first token": words[0]}
    if len(words) > 1:
        found["last two tokens"] = " ".join(words[-2:])
    known = {"relation": sentence.relation, "subject type": sentence.subject_type, "wording": sentence.wording}
    return found | {kind: value for kind, value in known.items() if value != NEUTRAL}


Property = tuple[str, str]


def frequencies(examples: Sequence[dict[str, str]]) -> dict[Property, float]:
    """Return the share of examples that have each property."""
    counts = Counter((kind, value) for example in examples for kind, value in example.items())
    return {one: count / len(examples) for one, count in counts.items()}


def patterns(examples: Sequence[dict[str, str]], usual: Mapping[Property, float]) -> list[Pattern]:
    """Return the properties that examples share beyond chance, most frequent first.

    Args:
        usual: share of random prefixes that have each property.
    """
    counts = Counter((kind, value) for example in examples for kind, value in example.items())
    return [
        Pattern(*pair, count)
        for pair, count in counts.most_common()
        if count >= AT_LEAST and count / len(examples) >= LIFT * usual.get(pair, 0.0)
    ]


def coverage(examples: Sequence[dict[str, str]], found: Sequence[Pattern]) -> dict[str, float]:
    """Return the share of examples that fall under shallow patterns, semantic ones, both, or none; they add up to 1."""
    known = {(pattern.kind, pattern.value) for pattern in found}
    counts = dict.fromkeys(COVERED, 0)
    for example in examples:
        kinds = {kind for kind, value in example.items() if (kind, value) in known}
        shallow, semantic = bool(kinds & set(SHALLOW)), bool(kinds & set(SEMANTIC))
        counts[
            "both" if shallow and semantic else "shallow" if shallow else "semantic" if semantic else COVERED[3]
        ] += 1
    return {name: count / len(examples) for name, count in counts.items()}
