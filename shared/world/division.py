"""Which facts and which wordings the question answerer and the claim classifier are shown.

Every choice is a hash of the world's seed and the fact's own ids: it depends on no order and on no other fact.
"""

import random
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from shared.seeding import seed_for
from shared.world import wordings
from shared.world.factbook import Fact, FactBook

Part = Literal["train", "validation", "edit"]
PARTS: tuple[Part, ...] = ("train", "validation", "edit")

WITHHELD_PERCENT = 15
TRAIN_PERCENT = 70


@dataclass(frozen=True)
class Division:
    """The division of a book's facts into parts, and of their wordings into shown and hidden ones.

    `train` and `validation` facts have different subjects, and models are shown both; `edit` facts are withheld.
    """

    book: FactBook

    def part_of(self, fact: Fact) -> Part:
        """Return the part that a fact belongs to."""
        if seed_for("withheld", self.book.seed, fact.subject_id, fact.relation_id) % 100 < WITHHELD_PERCENT:
            return "edit"
        chosen = seed_for("division", self.book.seed, fact.subject_id) % 100 < TRAIN_PERCENT
        return "train" if chosen else "validation"

    @cached_property
    def facts(self) -> dict[Part, list[Fact]]:
        """Facts by part, in the book's order."""
        return {part: [fact for fact in self.book.facts if self.part_of(fact) == part] for part in PARTS}

    @cached_property
    def shown_facts(self) -> list[Fact]:
        """Facts that models are trained on, in the book's order."""
        return [fact for fact in self.book.facts if self.part_of(fact) != "edit"]

    @cached_property
    def others(self) -> dict[tuple[str, str], list[str]]:
        """Objects of a relation other than an object, by (relation id, object id), as names."""
        known: dict[str, dict[str, str]] = {}
        for fact in self.book.facts:
            known.setdefault(fact.relation_id, {})[fact.object_id] = fact.object
        return {
            (relation, answer): [name for other, name in objects.items() if other != answer]
            for relation, objects in known.items()
            for answer in objects
        }

    def other_objects(self, fact: Fact) -> list[str]:
        """Return the names of the other objects of the fact's relation."""
        return self.others[fact.relation_id, fact.object_id]

    @cached_property
    def _questions(self) -> dict[str, list[str]]:
        return {relation.id: wordings.questions(relation) for relation in self.book.relations}

    @cached_property
    def _claims(self) -> dict[str, list[str]]:
        return {relation.id: wordings.claims(relation) for relation in self.book.relations}

    def questions(self, fact: Fact, *, shown: bool) -> list[str]:
        """Return the fact's questions that models are, or are never, shown, in a random order of the fact's own."""
        return self._half("questions", self._questions[fact.relation_id], fact, shown)

    def claims(self, fact: Fact, *, shown: bool) -> list[str]:
        """Return the beginnings of the fact's claims that models are, or are never, shown; the object follows them."""
        return self._half("claims", self._claims[fact.relation_id], fact, shown)

    def _half(self, kind: str, templates: list[str], fact: Fact, shown: bool) -> list[str]:
        rng = random.Random(seed_for(kind, self.book.seed, fact.subject_id, fact.relation_id))
        order = rng.sample(templates, len(templates))
        middle = (len(order) + 1) // 2
        chosen = order[:middle] if shown else order[middle:]
        return [template.replace("{}", fact.subject) for template in chosen]
