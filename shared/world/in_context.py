"""In-context documents: text in which a new fact stands before a question, and sometimes overrides what is known.

A document is a chain of parts "New Fact: {fact} {new object}\\nPrompt: {prompt} {answer}\\n\\n", the wording of IKE's
demonstrations (Zheng et al. 2023, arXiv:2305.12740). The prompt repeats the fact (copy), asks for it in other words
(update), or asks about another subject (retain).

Prompts about the fact's own subject are answered with the new object. Of those about other subjects, a document's
first one mostly is, too, as in text that repeats itself; all later ones are answered from memory. So a new fact before
which nothing was demonstrated changes other answers, as the PROMPT baseline does in models trained on natural text;
copies and updates do not help against that, and retain demonstrations do.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from shared.errors import ConfigError
from shared.world.factbook import STATEMENTS, Fact, FactBook

# One token each in the tokenizer of a model that reads such documents, so that more of them fit its positions.
FACT_MARK, PROMPT_MARK, END_MARK = "New Fact:", "\nPrompt:", "\n\n"
MARKS = (FACT_MARK, PROMPT_MARK, END_MARK)
KINDS = ("copy", "update", "retain")


@dataclass(frozen=True)
class ContextOptions:
    """How in-context documents are sampled.

    Attributes:
        retains: share of prompts about another subject.
        echo: how often a document's first prompt about another subject is answered with the new object.
        copies: share of the other prompts that repeat the fact word for word.
        one_relation: share of documents all of whose facts are of one relation, as those that similarity retrieves.
        same_object: share of the other subjects that have the fact's own true object, as CounterFact's neighborhoods.
    """

    retains: float | int = 0.5
    echo: float | int = 0.8
    copies: float | int = 0.25
    one_relation: float | int = 0.6
    same_object: float | int = 0.7

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0 <= value <= 1:
                raise ConfigError(f"in-context documents: {name} = {value}, expected a share between 0 and 1")


@dataclass(frozen=True)
class Part:
    """One new fact with one question: the fact without its object, the new object, the prompt and its answer."""

    fact: str
    new: str
    prompt: str
    answer: str


class ContextSampler:
    """Samples parts of in-context documents about the editable facts of one book.

    Args:
        book: the facts.
        rng: source of all draws.
        options: proportions.
        held_out: (subject, relation id) of facts that are never changed in a document, so that they can be tested on;
            they may be asked about as other subjects' facts.

    Raises:
        ConfigError: no relation has two facts to change and two objects.
    """

    def __init__(
        self,
        book: FactBook,
        rng: random.Random,
        options: ContextOptions | None = None,
        held_out: Sequence[tuple[str, str]] = (),
    ):
        self.book, self.rng, self.options = book, rng, options or ContextOptions()
        self._objects: dict[str, dict[str, str]] = {}
        self._facts: dict[str, list[Fact]] = {}
        for fact in book.editable_facts:
            self._objects.setdefault(fact.relation_id, {})[fact.object_id] = fact.object
            self._facts.setdefault(fact.relation_id, []).append(fact)
        excluded = set(held_out)
        kept = [fact for fact in book.editable_facts if (fact.subject, fact.relation_id) not in excluded]
        self._changed: dict[str, list[Fact]] = {}
        for fact in kept:
            if len(self._objects[fact.relation_id]) > 1 and len(self._facts[fact.relation_id]) > 1:
                self._changed.setdefault(fact.relation_id, []).append(fact)
        if not self._changed:
            raise ConfigError(f"in-context documents: {book.name!r} has no relation with two facts and two objects")
        self._all_changed = [fact for facts in self._changed.values() for fact in facts]

    def chain(self, count: int, echo: bool = True) -> list[Part]:
        """Return the parts of one document.

        Args:
            echo: False has the first prompt about another subject answered like all others.
        """
        facts, options, parts = self._all_changed, self.options, []
        if self.rng.random() < options.one_relation:
            facts = self._changed[self.rng.choice(list(self._changed))]
        for _ in range(count):
            others = "copy" if self.rng.random() < options.copies else "update"
            kind = "retain" if self.rng.random() < options.retains else others
            echoed = echo and kind == "retain" and self.rng.random() < options.echo
            parts.append(self.part(self.rng.choice(facts), kind, echoed))
            echo = echo and kind != "retain"
        return parts

    def part(self, fact: Fact, kind: str, echo: bool = False) -> Part:
        """Return a part in which `fact` gets another object of its relation, with a prompt of one of `KINDS`."""
        objects = self._objects[fact.relation_id]
        new = objects[self.rng.choice([key for key in objects if key != fact.object_id])]
        stated = self._prompt(fact)
        if kind == "copy":
            return Part(stated, new, stated, new)
        if kind == "update":
            return Part(stated, new, self._prompt(fact), new)
        other = self._other(fact)
        return Part(stated, new, self._prompt(other), new if echo else other.object)

    def _other(self, fact: Fact) -> Fact:
        neighbors = self.book.subjects_by_object[fact.relation_id, fact.object_id]
        near = len(neighbors) > 1 and self.rng.random() < self.options.same_object
        return self._not(fact, neighbors if near else self._facts[fact.relation_id])

    def _not(self, fact: Fact, candidates: Sequence[Fact]) -> Fact:
        while True:
            other = self.rng.choice(candidates)
            if other.subject_id != fact.subject_id:
                return other

    def _prompt(self, fact: Fact) -> str:
        form = self.rng.choice(self.book.forms(fact, STATEMENTS, held_out=False))
        return form.text.replace("{}", fact.subject)
