"""The probes of every family, by rule from a fact book: what follows from an edit, and what does not.

The authors' own probes of portability and locality were written by a language model and by hand, and cover different
cases for each family. Here one rule per family makes them for every fact that has what the rule needs.
"""

import random
from collections.abc import Iterator, Sequence
from functools import cached_property

from papers.survey.records import SurveyProbe
from shared.errors import DataError
from shared.seeding import seed_for
from shared.world.factbook import STATEMENTS, Fact, FactBook

OTHER_ATTRIBUTES = 2


class FamilyRules:
    """Makes the probes of edits of one fact book, in one form.

    Args:
        book: facts, aliases, inverse relations and chains.
        questions: whether prompts are questions (the form `zsre`) or statements.
    """

    def __init__(self, book: FactBook, questions: bool):
        self.book, self.questions = book, questions

    @cached_property
    def by_pair(self) -> dict[tuple[str, str], Fact]:
        """Facts by subject's name and relation."""
        return {(fact.subject, fact.relation_id): fact for fact in self.book.facts}

    @cached_property
    def by_wording(self) -> dict[str, Fact]:
        """Facts by every statement and question that asks for them."""
        forms = {relation.id: [form.text for form in relation.forms] for relation in self.book.relations}
        return {text.replace("{}", fact.subject): fact for fact in self.book.facts for text in forms[fact.relation_id]}

    @cached_property
    def ids(self) -> dict[str, str]:
        """Ids of entities by name."""
        return {entity.name: entity.id for entity in self.book.entities}

    @cached_property
    def chains(self) -> dict[tuple[str, str], list[dict[str, object]]]:
        """Two-step chains by subject's name and first relation."""
        found: dict[tuple[str, str], list] = {}
        for chain in self.book.chains:
            found.setdefault((chain["subject"], chain["relations"][0]), []).append(chain)
        return found

    @cached_property
    def distant(self) -> list[Fact]:
        """Facts of relations that no record edits."""
        relations = self.book.relation
        return [
            fact
            for fact in self.book.facts
            if not relations[fact.relation_id].editable and not relations[fact.relation_id].inverse
        ]

    def wordings(self, relation_id: str, kinds: Sequence[str], subject: str) -> list[str]:
        """Return a relation's forms of some kinds about a subject; all, where it has none of these."""
        forms = self.book.relation[relation_id].forms
        chosen = [form for form in forms if form.kind in kinds] or forms
        return [form.text.replace("{}", subject) for form in chosen]

    def statements_of(self, relation_id: str, subject: str) -> list[str]:
        """Return the beginnings of statements about a subject, those that begin with it first."""
        return self.wordings(relation_id, STATEMENTS, subject)

    def questions_of(self, relation_id: str, subject: str) -> list[str]:
        """Return the questions about a subject; real records have none, and statements stand for them."""
        return self.wordings(relation_id, ("question",), subject)

    def neighbors(self, fact: Fact, count: int) -> list[str]:
        """Return prompts about other subjects that have a fact's object, the same ones for the same fact."""
        same = [
            self._worded(one)
            for one in self.book.subjects_by_object[fact.relation_id, fact.object_id]
            if one.subject != fact.subject
        ]
        random.Random(seed_for("survey", "neighbors", fact.subject, fact.relation_id)).shuffle(same)
        return same[:count]

    def question_for(self, prompt: str) -> str:
        """Return the question that asks what a prompt asks; the prompt itself, where no relation is worded like it."""
        fact = self.by_wording.get(prompt)
        return prompt if fact is None else self.questions_of(fact.relation_id, fact.subject)[0]

    def _worded(self, fact: Fact) -> str:
        worded = self.questions_of if self.questions else self.statements_of
        return worded(fact.relation_id, fact.subject)[0]

    def probe(self, relation_id: str, subject: str, answer: str, wrong: str | None = None) -> SurveyProbe:
        """Return the probe that asks a subject's object."""
        told, asked = self.statements_of(relation_id, subject)[0], self.questions_of(relation_id, subject)[0]
        return SurveyProbe(prompt=asked if self.questions else told, question=asked, answer=answer, wrong=wrong)

    def alias(self, subject: str, template: str, question: str, answer: str) -> Iterator[SurveyProbe]:
        """Yield the edit's own prompt and question about each other name of its subject."""
        for name in self.book.entity[self._id(subject)].aliases:
            told = template.replace("{}", name)
            asked = told if self.questions else question.replace(subject, name)
            yield SurveyProbe(prompt=told, question=asked, answer=answer)

    def inverse(self, subject: str, relation_id: str, target_new: str) -> Iterator[SurveyProbe]:
        """Yield the question asked from the new object, where the relation has an inverse."""
        inverse = self.book.relation[relation_id].inverse
        if inverse is not None:
            yield self.probe(inverse, target_new, subject)

    def one_hop(self, subject: str, relation_id: str, target_new: str) -> Iterator[SurveyProbe]:
        """Yield questions whose second step starts from the new object, where their answer changes with it."""
        for chain in self.chains.get((subject, relation_id), []):
            onward = self.by_pair.get((target_new, chain["relations"][1]))
            if onward is None or onward.object == chain["answer"]:
                continue
            phrase = str(chain["phrase"])
            asked = f"What is {phrase}?"
            told = f"{phrase[0].upper()}{phrase[1:]} is"
            yield SurveyProbe(prompt=asked if self.questions else told, question=asked, answer=onward.object)

    def other_attribute(self, subject: str, relation_id: str) -> Iterator[SurveyProbe]:
        """Yield the subject's other facts, the same ones for the same edit."""
        facts = [fact for fact in self.book.facts_of[self._id(subject)] if fact.relation_id != relation_id]
        drawn = random.Random(seed_for("survey", "other attribute", subject, relation_id))
        for fact in drawn.sample(facts, min(OTHER_ATTRIBUTES, len(facts))):
            yield self.probe(fact.relation_id, subject, fact.object)

    def distracting(self, edited: str, near: Sequence[SurveyProbe], target_new: str) -> Iterator[SurveyProbe]:
        """Yield neighbourhood probes behind the edited sentence (CounterFact+, arXiv:2305.17553, §3)."""
        for probe in near:
            yield SurveyProbe(
                prompt=f"{edited}. {probe.prompt}",
                question=f"{edited}. {probe.question}",
                answer=probe.answer,
                wrong=target_new if target_new != probe.answer else None,
            )

    def other_task(self, subject: str, case_id: int) -> Iterator[SurveyProbe]:
        """Yield one choice of two objects, right and wrong, for a fact of a relation that no record edits.

        It stands for a task of another kind (the paper: PIQA); chance is one half.
        """
        facts = [fact for fact in self.distant if fact.subject != subject]
        drawn = random.Random(seed_for("survey", "other task", case_id))
        if facts:
            fact = drawn.choice(facts)
            objects = {one.object for one in self.distant if one.relation_id == fact.relation_id} - {fact.object}
            if objects:
                yield self.probe(fact.relation_id, fact.subject, fact.object, drawn.choice(sorted(objects)))

    def _id(self, subject: str) -> str:
        if subject not in self.ids:
            raise DataError(f"subject {subject!r} is not in the fact book {self.book.name!r}; give the records' own")
        return self.ids[subject]
