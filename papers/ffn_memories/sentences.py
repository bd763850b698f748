"""Sentences of a corpus, and what the world knows about each: its relation, its subject's type and its wording.

In the papers people look for patterns in the sentences that excite a key; here the generator of the text knows them.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from shared.errors import DataError
from shared.world.factbook import FactBook

NEUTRAL = "neutral"


@dataclass(frozen=True)
class Sentence:
    """A sentence with its relation, its subject's type and its wording, or "neutral" where it states no known fact."""

    text: str
    relation: str
    subject_type: str
    wording: str


def read_sentences(path: str | Path, book: FactBook | None, count: int, skip: int = 0) -> list[Sentence]:
    """Return distinct sentences of a corpus with one document a line, in its order.

    Args:
        book: what is known about the text's facts; without it every sentence is neutral.
        count: sentences at most.
        skip: distinct sentences left out first.

    Raises:
        DataError: the file has no sentence beyond these.
    """
    texts: dict[str, None] = {}
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            texts.update(dict.fromkeys(part for part in re.split(r"(?<=\.)\s+", line.strip()) if len(part.split()) > 2))
            if len(texts) >= skip + count:
                break
    chosen = list(texts)[skip : skip + count]
    if not chosen:
        raise DataError(f"{path}: {len(texts)} sentences, {skip} of which are used elsewhere; none is left")
    return list(annotate(chosen, book)) if book else [Sentence(text, NEUTRAL, NEUTRAL, NEUTRAL) for text in chosen]


def annotate(texts: Iterable[str], book: FactBook) -> Iterable[Sentence]:
    """Yield each text with what the fact book says about it: the wording it follows with the longest fixed part."""
    types = {name: entity.type for entity in book.entities for name in (entity.name, *entity.aliases)}
    forms = []
    for relation in book.relations:
        for form in relation.forms:
            before, after = form.text.split("{}")
            forms.append((len(before) + len(after), before, after, relation.id, form.text))
    forms.sort(key=lambda form: -form[0])
    for text in texts:
        yield _annotated(text, forms, types)


def _annotated(text: str, forms: Sequence[tuple[int, str, str, str, str]], types: dict[str, str]) -> Sentence:
    for _, before, after, relation, wording in forms:
        end = text.find(f"{after} ", len(before))
        if text.startswith(before) and end > 0 and text[len(before) : end] in types:
            return Sentence(text, relation, types[text[len(before) : end]], wording)
    return Sentence(text, NEUTRAL, NEUTRAL, NEUTRAL)
