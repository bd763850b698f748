"""Cases for encoder-decoders: facts that trained editors have not seen, and that the model answers before the edit.

Editors of questions are trained on the facts of one zsRE file (`zsre_train.jsonl`); cases are about those of another,
the editors' own test file. Only what the model knows can be taken away from it: facts that it answers wrongly before
the edit are left out, and their share is told.
"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from pydantic import BaseModel

from papers.survey.draw_records import INVERSE_EVERY, READERS, inverse_records, with_families
from papers.survey.families import FamilyRules
from papers.survey.records import SurveyRecord
from shared.data.reading import read_records
from shared.data.requests import Case
from shared.errors import DataError
from shared.inference.answers import score_answers
from shared.model.models import LM
from shared.world.factbook import FactBook

log = logging.getLogger(__name__)


class _Meta(BaseModel):
    subject: str = ""
    relation_id: str = ""


class _Line(BaseModel):
    input: str
    meta: _Meta = _Meta()


@dataclass(frozen=True)
class QuestionCases:
    """What is edited in one form.

    Attributes:
        cases: known facts that no editor was trained on, prompts and probes worded as questions.
        pool: facts that editors were trained on, for methods that take examples.
        held_out: facts of the records that no editor was trained on.
        known: those of them that the model answers.
    """

    cases: list[Case]
    pool: list[Case]
    held_out: int
    known: int


def facts_of(path: str | Path) -> set[tuple[str, str]]:
    """Return what the lines of an annotated zsRE file are about: subject and relation, else the question alone."""
    lines = read_records(path, _Line)
    named = {(line.meta.subject, line.meta.relation_id) for line in lines if line.meta.subject}
    return named | {("", line.input) for line in lines}


def is_about(record: SurveyRecord, facts: set[tuple[str, str]]) -> bool:
    """Return whether a record is about one of some facts."""
    return (record.subject, record.relation_id) in facts or ("", record.question) in facts


def mixed(records: Iterable[SurveyRecord], inverse: Iterable[SurveyRecord]) -> list[SurveyRecord]:
    """Return the records, every fourth being an edit of a relation with an inverse as long as there are any."""
    waiting, found = iter(inverse), []
    for record in records:
        if len(found) % INVERSE_EVERY == INVERSE_EVERY - 1:
            found += islice(waiting, 1)
        found.append(record)
    return found


def question_cases(
    lm: LM,
    form: str,
    *,
    records: str | Path,
    book: FactBook | None,
    held_out: str | Path,
    trained: str | Path,
    count: int,
) -> QuestionCases:
    """Return the cases of a form.

    Args:
        lm: the unedited model.
        records: file in the form's raw format.
        book: fact book of the records, for the probes of the families; without it there are none.
        held_out, trained: annotated zsRE files: of the editors' test, and of their training.
        count: cases at most.

    Raises:
        DataError: no held-out fact is known, or there is no record for the pool.
    """
    rules = book and FamilyRules(book, questions=form == "zsre")
    unseen, seen = facts_of(held_out), facts_of(trained)
    every = READERS[form](records, rules)
    chosen = [record for record in every if is_about(record, unseen) and not is_about(record, seen)]
    examples = [record for record in every if is_about(record, seen)]
    if rules is not None:
        chosen = [with_families(rules, record) for record in chosen]
        chosen.sort(key=lambda record: -sum(family in record.probes for family in ("alias", "one_hop")))
        inverse = (record for record in inverse_records(rules) if is_about(record, unseen))
        chosen = mixed(chosen, (with_families(rules, record) for record in inverse if not is_about(record, seen)))
        examples = [with_families(rules, record) for record in examples]
    cases = [case for record in chosen if (case := record.question_case()) is not None]
    known = known_cases(lm, cases)
    pool = [case for record in examples if (case := record.question_case()) is not None]
    if not known or not pool:
        raise DataError(
            f"{records}: {len(cases)} records are about facts of {held_out} and not of {trained}, {len(known)} of them "
            f"known to {lm.name}; {len(pool)} are about facts of {trained}: at least one known and one other are needed"
        )
    log.info("%s: %d of %d held-out facts are known before the edit", form, len(known), len(cases))
    return QuestionCases(known[:count], pool, len(cases), len(known))


def known_cases(lm: LM, cases: Sequence[Case]) -> list[Case]:
    """Return the cases whose question the unedited model answers with the true object, teacher-forced to its end.

    Cost: one pass over all questions.
    """
    told = [case for case in cases if case.request.target_true is not None]
    questions = [case.request.prompt.replace("{}", case.request.subject) for case in told]
    scores = score_answers(lm, questions, [case.request.target_true for case in told])
    return [case for case, score in zip(told, scores, strict=True) if all(score.correct)]
