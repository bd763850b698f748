"""Facts to assess and to calibrate: what is right, what the model's corpus says, and wordings that are kept apart.

The world's corpus is right by construction. For a share of the facts another object of the relation is taken to be
right here, so that the model has been trained on a wrong statement of them, as where corpus and knowledge base differ.
"""

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shared.data.templates import fill
from shared.errors import DataError
from shared.seeding import seed_for
from shared.world.factbook import STATEMENTS, Fact, FactBook

CONTRASTS = 3
# Of every ten wordings of a relation the first is asked in the test, and the second in validation (the authors' code).
PARTS, TEST, VALIDATION = 10, 0, 1


@dataclass(frozen=True)
class CalibrationFact:
    """A fact with what is asked about it.

    Attributes:
        number: of the fact, in the book.
        gold: the right object; false: another one, which is what the corpus says where `misstated`.
        misstated: whether the model was trained on the false object.
        train, validation, test: prompts that end before the object.
        contrasts: prompts about the subject that ask another relation with objects of the same type.
    """

    number: int
    subject: str
    relation_id: str
    gold: str
    false: str
    misstated: bool
    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]
    contrasts: tuple[str, ...]


def object_types(book: FactBook) -> dict[str, str]:
    """Return the type of each relation's objects."""
    return {fact.relation_id: book.entity[fact.object_id].type for fact in book.facts}


def contrast_templates(book: FactBook) -> dict[str, list[str]]:
    """Return, per relation, wordings of other relations with objects of the same type, taken in turns.

    A relation without three of them has no entry.
    """
    types, statements = object_types(book), _statements(book)
    found = {}
    for relation, kind in types.items():
        others = [statements[other] for other, its in types.items() if its == kind and other != relation]
        mixed = [texts[place] for place in range(CONTRASTS) for texts in others if place < len(texts)]
        if len(mixed) >= CONTRASTS:
            found[relation] = mixed[:CONTRASTS]
    return found


def _statements(book: FactBook) -> dict[str, list[str]]:
    return {
        relation.id: [form.text for form in relation.forms if form.kind in STATEMENTS] for relation in book.relations
    }


def calibration_facts(book: FactBook, misstated: float | int, seed: int, count: int | None = None):
    """Return facts of all relations that have contrasts, in random order.

    Args:
        misstated: share of the facts whose right object is not what the corpus says.
        seed: of the order, the shares and the false objects.
        count: the first so many; None for all. Fewer are always a part of more.

    Raises:
        DataError: the book has no relation with contrasts, or too few facts.
    """
    contrasts, statements = contrast_templates(book), _statements(book)
    objects = _objects(book)
    eligible = [index for index, fact in enumerate(book.facts) if fact.relation_id in contrasts]
    random.Random(seed_for("calinet", "order", seed)).shuffle(eligible)
    wanted = len(eligible) if count is None else count
    if not 0 < wanted <= len(eligible):
        raise DataError(f"{count} facts are asked for; {len(eligible)} have relations with contrasts")
    chosen = eligible[:wanted]
    return [_fact(number, book, contrasts, statements, objects, misstated, seed) for number in chosen]


def _objects(book: FactBook) -> dict[str, list[str]]:
    found: dict[str, dict[str, None]] = defaultdict(dict)
    for fact in book.facts:
        found[fact.relation_id][fact.object] = None
    return {relation: list(names) for relation, names in found.items()}


def _fact(
    number: int,
    book: FactBook,
    contrasts: Mapping[str, Sequence[str]],
    statements: Mapping[str, Sequence[str]],
    objects: Mapping[str, Sequence[str]],
    misstated: float | int,
    seed: int,
) -> CalibrationFact:
    fact: Fact = book.facts[number]
    rng = random.Random(seed_for("calinet", "fact", seed, number))
    told = {one.object for one in book.facts_of[fact.subject_id] if one.relation_id == fact.relation_id}
    other = rng.choice([name for name in objects[fact.relation_id] if name not in told])
    wrong = rng.random() < misstated
    prompts = [fill(text, fact.subject) for text in statements[fact.relation_id]]
    parts = {
        part: tuple(prompt for index, prompt in enumerate(prompts) if index % PARTS == part)
        for part in (TEST, VALIDATION)
    }
    return CalibrationFact(
        number=number,
        subject=fact.subject,
        relation_id=fact.relation_id,
        gold=other if wrong else fact.object,
        false=fact.object if wrong else other,
        misstated=wrong,
        train=tuple(prompt for index, prompt in enumerate(prompts) if index % PARTS not in parts),
        validation=parts[VALIDATION],
        test=parts[TEST],
        contrasts=tuple(fill(text, fact.subject) for text in contrasts[fact.relation_id]),
    )
