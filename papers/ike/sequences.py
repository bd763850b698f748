"""Facts that change over time (Zheng et al. 2023, §5.4): sequences in TempLAMA's format, read or made from a fact book.

A sequence is a list of dated facts about one subject and one relation, oldest first; the authors' time_editing.json
is a list of sequences.
"""

import random
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationError

from shared.data.requests import EditRequest
from shared.errors import DataError
from shared.records import read_json
from shared.seeding import seed_for
from shared.world.factbook import FactBook

# How TempLAMA words its relations; what stands before the words is the subject.
PHRASES = {"P54": "plays for", "P108": "works for", "P39": "holds the position of"}
BLANK = "_X_."
FIRST_YEAR = 2010
YEARS = 3


class _Answer(BaseModel):
    name: Annotated[str, Field(min_length=1)]


class _DatedFact(BaseModel):
    query: str
    answer: Annotated[list[_Answer], Field(min_length=1)]
    date: str
    relation: str


def _request(fact: _DatedFact, case_id: int) -> EditRequest:
    phrase = PHRASES.get(fact.relation)
    if phrase is None or not fact.query.endswith(BLANK):
        raise ValueError(
            f"query {fact.query!r} of relation {fact.relation!r}, expected one of {PHRASES} before {BLANK}"
        )
    subject, found, rest = fact.query.removesuffix(BLANK).strip().rpartition(f" {phrase}")
    if not found or rest:
        raise ValueError(f"query {fact.query!r}, expected '<subject> {phrase} {BLANK}'")
    return EditRequest(
        case_id=case_id,
        subject=subject,
        relation_id=fact.relation,
        prompt=f"In {fact.date}, {{}} {phrase}",
        target_new=fact.answer[0].name,
    )


def read_sequences(path: str | Path) -> list[list[EditRequest]]:
    """Return the sequences of a file as edits, in file order; `case_id` counts the sequences.

    Where a fact has several answers, the first counts.

    Raises:
        DataError: naming the sequence and what is wrong with it.
    """
    sequences = read_json(path)
    if not isinstance(sequences, list) or not all(isinstance(sequence, list) for sequence in sequences):
        raise DataError(f"{path}: expected a list of lists of facts, as in the authors' time_editing.json")
    found: list[list[EditRequest]] = []
    for raw in sequences:
        try:
            facts = [_DatedFact.model_validate(fact) for fact in raw]
            requests = [_request(fact, len(found)) for fact in facts]
            if len(requests) < 2:
                raise ValueError(f"{len(requests)} facts, expected two or more")
        except (TypeError, ValueError, ValidationError) as error:
            raise DataError(f"{path}, sequence {len(found)}: {error}") from error
        found.append(requests)
    return found


def sequences_of(book: FactBook, count: int) -> list[list[dict[str, Any]]]:
    """Return made-up careers in TempLAMA's format: up to `count` people, each with two or three employers in turn.

    Raises:
        DataError: the book knows no employers.
    """
    facts = [fact for fact in book.facts if fact.relation_id == "P108"]
    employers = sorted({(fact.object_id, fact.object) for fact in facts})
    if len(employers) <= YEARS:
        raise DataError(f"fact book {book.name!r} has {len(employers)} employers (P108), sequences need {YEARS + 1}")
    found = []
    for fact in facts[:count]:
        rng = random.Random(seed_for("ike sequences", book.seed, fact.subject_id))
        others = [one for one in employers if one[0] != fact.object_id]
        chosen = rng.sample(others, rng.choice((2, 2, 2, YEARS)))
        found.append([_dated(fact.subject, fact.subject_id, FIRST_YEAR + i, one) for i, one in enumerate(chosen)])
    return found


def _dated(subject: str, subject_id: str, year: int, employer: tuple[str, str]) -> dict[str, Any]:
    return {
        "query": f"{subject} {PHRASES['P108']} {BLANK}",
        "answer": [{"wikidata_id": employer[0], "name": employer[1]}],
        "date": str(year),
        "id": f"{subject_id}_P108_{year}",
        "relation": "P108",
    }
