"""The generic collection of facts that the tokenizer and the decoder are trained on.

A fact book comes from the generated world or from real CounterFact records; nothing downstream knows which.
"""

import json
from collections import defaultdict
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from shared.errors import DataError
from shared.records import write_text

FormKind = Literal["subject_first", "relation_first", "question", "nq"]
STATEMENTS = ("subject_first", "relation_first")


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Form(_Record):
    """A prompt template with exactly one `{}`, ending right before the object."""

    text: str
    kind: FormKind


class Relation(_Record):
    """A relation and the forms that express it; `editable` ones make records, snippets and facts to trace."""

    id: str
    name: str
    forms: list[Form]
    inverse: str | None = None
    editable: bool = True


class Entity(_Record):
    """A subject or an object; `aliases` name the same thing."""

    id: str
    type: str
    name: str
    aliases: list[str] = []


class Fact(_Record):
    """One true triple; `held_out` lists the relation's forms (by index) in which it never occurs in training text."""

    subject_id: str
    subject: str
    relation_id: str
    object_id: str
    object: str
    held_out: list[int] = []


class FactBook(_Record):
    """Relations, entities and facts, with the derived probes of a closed world where there are any."""

    name: str
    seed: int
    relations: list[Relation]
    entities: list[Entity]
    facts: list[Fact]
    chains: list[dict[str, Any]] = []
    claims: list[dict[str, Any]] = []

    @cached_property
    def relation(self) -> dict[str, Relation]:
        """Relations by id."""
        return {relation.id: relation for relation in self.relations}

    @cached_property
    def entity(self) -> dict[str, Entity]:
        """Entities by id."""
        return {entity.id: entity for entity in self.entities}

    @cached_property
    def facts_of(self) -> dict[str, list[Fact]]:
        """Facts by subject id, in the book's order."""
        grouped: dict[str, list[Fact]] = defaultdict(list)
        for fact in self.facts:
            grouped[fact.subject_id].append(fact)
        return dict(grouped)

    @cached_property
    def subjects_by_object(self) -> dict[tuple[str, str], list[Fact]]:
        """Facts by (relation id, object id): the candidates for a neighborhood."""
        grouped: dict[tuple[str, str], list[Fact]] = defaultdict(list)
        for fact in self.facts:
            grouped[fact.relation_id, fact.object_id].append(fact)
        return dict(grouped)

    @cached_property
    def editable_facts(self) -> list[Fact]:
        """Facts of editable relations, in the book's order."""
        return [fact for fact in self.facts if self.relation[fact.relation_id].editable]

    @cached_property
    def names(self) -> list[str]:
        """Every name and alias of an entity, without repeats."""
        return list(dict.fromkeys(name for entity in self.entities for name in (entity.name, *entity.aliases)))

    def forms(self, fact: Fact, kinds: tuple[str, ...], held_out: bool) -> list[Form]:
        """Return the forms of `fact` of these kinds that are (`held_out`) or are not kept out of training text."""
        return [
            form
            for index, form in enumerate(self.relation[fact.relation_id].forms)
            if form.kind in kinds and (index in fact.held_out) == held_out
        ]

    def save(self, path: Path) -> None:
        """Write the book as JSON; the final name appears only when the file is complete."""
        write_text(path, json.dumps(self.model_dump(), indent=1, ensure_ascii=False) + "\n")

    @classmethod
    def load(cls, path: Path) -> "FactBook":
        """Read a book written by `save`.

        Raises:
            DataError: if the file is missing, is no JSON, or does not follow this schema.
        """
        try:
            return cls.model_validate_json(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise DataError(
                f"{path}: cannot read the fact book ({error.strerror}); run `python -m shared.world generate`"
            ) from error
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise DataError(
                f"{path}: field {where!r}: {first['msg']}; expected a facts.json written by `python -m shared.world`"
            ) from error


def statement(form: Form, subject: str, answer: str) -> str:
    """Return the full sentence: the filled form, the object and a full stop."""
    return f"{form.text.replace('{}', subject)} {answer}."
