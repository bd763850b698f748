"""Writers of what a memory of edits is trained and tested on (Mitchell et al. 2022): what edits entail, and evidence.

A line about a question names the object in its text, so that it changes its answer with an edit: `impl_{part}.json`
holds questions for the subject, `zsre_yn_{part}.txt` statements to be called true or false, both aligned with the
records of `zsre_{part}.jsonl`. `vitaminc_{part}.jsonl` has the form of Schuster et al. (2021).
"""

import random
from collections.abc import Sequence
from typing import Any

from shared.inference.verdicts import REFUTES, SUPPORTS
from shared.seeding import seed_for
from shared.world.division import Division, Part
from shared.world.factbook import Fact, FactBook

NOT_ENOUGH = "NOT ENOUGH INFO"
IMPLIED = 2
EVIDENCE = 4


def implications(division: Division, records: Sequence[dict[str, Any]]) -> list[list[list[str]]]:
    """Return, for each record in zsRE form, questions that name its answer and ask for its subject.

    Each is [question, answer, statement that it comes from], as in the data of Ribeiro et al. (2019).
    """
    book, facts = division.book, _by_name(division)
    found = []
    for record in records:
        fact = facts[record["meta"]["subject"], record["meta"]["relation_id"]]
        sort = book.entity[fact.subject_id].type
        found.append(
            [
                [f"Which {sort} {told} {fact.object}?", fact.subject, f"{fact.subject} {told} {fact.object}."]
                for told in _predicates(book, fact, "implied")[:IMPLIED]
            ]
        )
    return found


def statements(division: Division, records: Sequence[dict[str, Any]]) -> list[str]:
    """Return, for each record in zsRE form, a statement of it with a question mark."""
    facts = _by_name(division)
    found = []
    for record in records:
        fact = facts[record["meta"]["subject"], record["meta"]["relation_id"]]
        told = _predicates(division.book, fact, "stated")[0]
        found.append(f"{fact.subject} {told} {fact.object}?")
    return found


def evidence_records(division: Division, part: Part) -> list[dict[str, str]]:
    """Return sentences that move a fact to another object, some for each fact of a part, with three claims about each.

    One claim follows from the evidence, one contradicts it (it names the true object, or a further one), and one is
    about another fact of the same subject, true or false.
    """
    facts_of: dict[str, list[Fact]] = {}
    for fact in division.facts[part]:
        facts_of.setdefault(fact.subject_id, []).append(fact)
    records = []
    for fact in division.facts[part]:
        rng = random.Random(seed_for("evidence", division.book.seed, fact.subject_id, fact.relation_id))
        beside = [other for other in facts_of[fact.subject_id] if other.relation_id != fact.relation_id]
        others = division.other_objects(fact)
        for moved in rng.sample(others, min(EVIDENCE, len(others))):
            records += _about(division, fact, moved, beside, rng)
    return records


def _about(
    division: Division, fact: Fact, moved: str, beside: Sequence[Fact], rng: random.Random
) -> list[dict[str, str]]:
    """Return the claims about one piece of evidence."""
    told = rng.sample(division.claims(fact, shown=True), 3) + rng.sample(division.claims(fact, shown=False), 2)
    further = [fact.object, *(name for name in division.other_objects(fact) if name != moved)]
    refuted = fact.object if rng.random() < 0.5 else rng.choice(further)
    evidence = {"evidence": f"{told[0]} {moved}.", "page": fact.subject, "revision_type": "real"}
    wording = rng.choice(told[1:])
    records = [
        {"claim": f"{wording} {moved}.", "label": SUPPORTS, **evidence},
        {"claim": f"{wording} {refuted}.", "label": REFUTES, **evidence},
    ]
    if beside:
        other = rng.choice(beside)
        answer = other.object if rng.random() < 0.5 else rng.choice(division.other_objects(other))
        claim = f"{rng.choice(division.claims(other, shown=True))} {answer}."
        records.append({"claim": claim, "label": NOT_ENOUGH, **evidence})
    return records


def _by_name(division: Division) -> dict[tuple[str, str], Fact]:
    return {(fact.subject, fact.relation_id): fact for fact in division.book.facts}


def _predicates(book: FactBook, fact: Fact, purpose: str) -> list[str]:
    """Return what the relation's statements say between subject and object, in a random order of the fact's own."""
    forms = [form.text for form in book.relation[fact.relation_id].forms if form.kind == "subject_first"]
    told = [text.removeprefix("{} ") for text in forms if text.startswith("{} ")]
    rng = random.Random(seed_for(purpose, book.seed, fact.subject_id, fact.relation_id))
    return rng.sample(told, len(told))
