"""In-context documents: text in which a new fact stands before a question, and sometimes overrides what is known.

A document is a chain of parts "New Fact: {fact} {new object}\\nPrompt: {prompt} {answer}\\n\\n", the wording of IKE's
demonstrations (Zheng et al. 2023, arXiv:2305.12740). The prompt repeats the fact (copy), asks for it in other words
(update), or asks about another subject (retain). Prompts about the fact's own subject are answered with the new object.

There are documents of two sorts, and only answers about other subjects tell them apart. *Careless* ones answer these
with the new object, too; *careful* ones answer them from memory. How many parts of which kind a document has does not
depend on its sort, so neither their number nor copies and updates say anything about the answers to come: a reader must
go by what became of other subjects, and where nothing was shown of that, by which sort is more common.
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
        careless: share of documents whose new facts override other subjects' facts, too.
        retains: a document's share of prompts about other subjects is drawn uniformly from 0 to this, 1 at most; so at
            1.5, a third of the documents ask about nothing else.
        copies: share of the prompts about the fact's own subject that repeat the fact word for word.
        one_relation: share of documents all of whose facts are of one relation, as those that similarity retrieves.
        same_object: share of the other subjects that have the fact's own true object, as CounterFact's neighborhoods.
    """

    careless: float | int = 0.55
    retains: float | int = 1.5
    copies: float | int = 0.25
    one_relation: float | int = 0.6
    same_object: float | int = 0.7

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value < 0 or (value > 1 and name != "retains"):
                raise ConfigError(f"in-context documents: {name} = {value}, expected a share between 0 and 1")


@dataclass(frozen=True)
class Part:
    """One new fact with one question.

    Attributes:
        fact: the fact's prompt, without its object.
        new: the new object.
        prompt: the question.
        answer: its answer.
        other: whether the question is about another subject.
    """

    fact: str
    new: str
    prompt: str
    answer: str
    other: bool

    @property
    def from_memory(self) -> bool:
        """Whether the question is answered as it would be without the new fact."""
        return self.answer != self.new


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

    def chain(self, count: int, careless: bool | None = None) -> list[Part]:
        """Return the parts of one document.

        Args:
            careless: which sort of document; None draws it.
        """
        rng, facts = self.rng, self._all_changed
        if rng.random() < self.options.one_relation:
            facts = self._changed[rng.choice(list(self._changed))]
        if careless is None:
            careless = rng.random() < self.options.careless
        retains = min(1.0, self.options.retains * rng.random())
        parts = []
        for _ in range(count):
            own = "copy" if rng.random() < self.options.copies else "update"
            kind = "retain" if rng.random() < retains else own
            parts.append(self.part(rng.choice(facts), kind, careless))
        return parts

    def part(self, fact: Fact, kind: str, careless: bool = False) -> Part:
        """Return a part in which `fact` gets another object of its relation, with a prompt of one of `KINDS`."""
        objects = self._objects[fact.relation_id]
        new = objects[self.rng.choice([key for key in objects if key != fact.object_id])]
        stated = self._prompt(fact)
        if kind == "copy":
            return Part(stated, new, stated, new, False)
        if kind == "update":
            return Part(stated, new, self._prompt(fact), new, False)
        other = self._other(fact, new)
        return Part(stated, new, self._prompt(other), new if careless else other.object, True)

    def _other(self, fact: Fact, new: str) -> Fact:
        """Return a fact of another subject whose object is not the new one, if there is any."""
        neighbors = self.book.subjects_by_object[fact.relation_id, fact.object_id]
        near = len(neighbors) > 1 and self.rng.random() < self.options.same_object
        others = [one for one in (neighbors if near else self._facts[fact.relation_id]) if one.subject != fact.subject]
        return self.rng.choice([one for one in others if one.object != new] or others)

    def _prompt(self, fact: Fact) -> str:
        form = self.rng.choice(self.book.forms(fact, STATEMENTS, held_out=False))
        return form.text.replace("{}", fact.subject)
