"""Edits with what lies in their scope and just outside of it: questions, entailed questions, claims with evidence.

Readers of the data that SERAC (Mitchell et al. 2022, §5.1) is trained and tested on, in the form of `ExampleSet`. What
is asked after an edit are its equivalents and entailed statements; hard negatives stand in `near`.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pydantic import BaseModel, Field

from shared.data.reading import load_records, read_records
from shared.data.requests import Case, read_counterfact
from shared.data.templates import fill
from shared.errors import DataError
from shared.inference.verdicts import REFUTES, SUPPORTS
from shared.learning.edit_examples import EditExample, ExampleSet, Statement, part_of
from shared.seeding import seed_for

TRUE, FALSE = "True", "False"
TRUTH_PROMPTS = ("True or False: ", "True/False: ", "T/F: ", "Answer True or False: ")
NOT_ENOUGH = "NOT ENOUGH INFO"


class _Answer(BaseModel):
    answer: str


class _Meta(BaseModel):
    subject: str = ""
    relation_id: str = ""
    template_questions: tuple[str, ...] = ()
    same_subject: tuple[tuple[str, str], ...] = ()
    same_relation: tuple[tuple[str, str], ...] = ()


class _Question(BaseModel):
    input: str
    alternatives: tuple[str, ...] = ()
    filtered_rephrases: tuple[str, ...]
    output: tuple[_Answer, ...] = Field(min_length=1)
    meta: _Meta = _Meta()

    @property
    def about(self) -> str:
        """What the question is about: two questions about one thing are never asked as if they were unrelated."""
        return f"{self.meta.subject}: {self.meta.relation_id}" if self.meta.subject else self.input


class _Evidence(BaseModel):
    claim: str
    evidence: str
    label: str
    page: str = Field(min_length=1)
    revision_type: str = "real"


def scoped_questions(path: str | Path, seed: int = 0, *, all_wordings: bool = True) -> ExampleSet:
    """Return an annotated zsRE file as edits to one of their alternatives, one edit for each fact.

    There are no hard negatives among them.

    Args:
        all_wordings: keep all paraphrases as equivalents (training); else the input itself and one paraphrase, as the
            authors' code asks (test).
    """
    records = read_records(path, _Question)
    abouts = _abouts(records)
    edits = (_edit(index, record, seed, all_wordings, abouts) for index, record in enumerate(_first_of_each(records)))
    anchors = tuple(Statement(record.input, record.output[0].answer, record.about) for record in records)
    return ExampleSet(tuple(replace(edit, near=()) for edit in edits if edit), anchors)


def hard_questions(
    path: str | Path, implied: str | Path, stated: str | Path, seed: int = 0, *, all_wordings: bool = True
) -> ExampleSet:
    """Return the questions with what their edits entail: questions about the new answer, and statements to be judged.

    An implied question has the old answer in its text, which the new one replaces; its own answer stays. A statement
    gets the new answer (True) or, by a coin and where there is one, another alternative (False). Anchors are also other
    records' paraphrases, implied questions and statements.

    Raises:
        DataError: the files' lengths differ.
    """
    records = read_records(path, _Question)
    lists, lines = load_records(implied), Path(stated).read_text(encoding="utf-8").splitlines()
    if not len(records) == len(lists) == len(lines):
        raise DataError(
            f"{path} has {len(records)} records, {implied} {len(lists)} and {stated} {len(lines)}; expected as many"
        )
    beside = {id(record): (questions, line) for record, questions, line in zip(records, lists, lines, strict=True)}
    abouts, examples = _abouts(records), []
    anchors = [Statement(record.input, record.output[0].answer, record.about) for record in records]
    for index, record in enumerate(_first_of_each(records)):
        questions, line = beside[id(record)]
        rng = random.Random(seed_for("entailed", seed, index))
        anchors += _further_anchors(record, questions, line, rng)
        example = _edit(index, record, seed, all_wordings, abouts)
        if example:
            entailed = _entailed(record, example.target, questions, line, rng)
            kept = entailed if all_wordings else _one_of_each(entailed, rng)
            examples.append(replace(example, entailed=tuple(kept)))
    return ExampleSet(tuple(examples), tuple(anchors))


def scoped_statements(path: str | Path, part: str, held_out: int, validation: int) -> ExampleSet:
    """Return one part of a CounterFact file as edits of statements, with hard negatives.

    In scope are the edit's own statement and its paraphrases. Near it are its neighborhood, and the other records'
    statements about the same subject. Anchors are the records' own statements.

    Args:
        part: `test` (the first `held_out` records), `validation` (the next so many), or `train` (all others).
    """
    cases = part_of(read_counterfact(path), part, held_out, validation)
    names = sorted({case.request.subject for case in cases}, key=len, reverse=True)
    statements = [_statement_of(case) for case in cases]
    by_subject: dict[str, list[Statement]] = {}
    for case, statement in zip(cases, statements, strict=True):
        by_subject.setdefault(case.request.subject, []).append(statement)
    examples = []
    for case, statement in zip(cases, statements, strict=True):
        request = case.request
        others = [item for item in by_subject[request.subject] if item.about != statement.about]
        for prompt in case.neighborhood_prompts:
            subject = next((name for name in names if name in prompt), prompt)
            others.append(Statement(prompt, request.target_true or "", f"{subject}: {request.relation_id}"))
        asked = (statement.source, *case.paraphrase_prompts)
        known = {"old": request.target_true or "", "about": statement.about, "near": tuple(others)}
        examples.append(EditExample(case.case_id, statement.source, request.target_new, asked, **known))
    return ExampleSet(tuple(examples), tuple(statements))


def _statement_of(case: Case) -> Statement:
    request = case.request
    about = f"{request.subject}: {request.relation_id}"
    return Statement(fill(request.prompt, request.subject), request.target_true or "", about)


def evidence_claims(path: str | Path, seed: int = 0, *, all_wordings: bool = True) -> ExampleSet:
    """Return a VitaminC file as edits: each piece of evidence is asserted true, and its claims are asked after.

    Claims that the evidence does not decide are hard negatives. In the test every page occurs once, so that edits which
    are held together are about different pages. No label of an anchor matters: what is compared is whether the model's
    verdict stays.
    """
    records = [record for record in read_records(path, _Evidence) if record.revision_type == "real"]
    grouped: dict[str, list[_Evidence]] = {}
    for record in records:
        grouped.setdefault(record.evidence, []).append(record)
    examples, pages = [], set()
    for index, (evidence, claims) in enumerate(grouped.items()):
        page = claims[0].page
        decided = [Statement(claim.claim, claim.label, page) for claim in claims if claim.label in (SUPPORTS, REFUTES)]
        near = [Statement(claim.claim, REFUTES) for claim in claims if claim.label == NOT_ENOUGH]
        if decided and (all_wordings or page not in pages):
            pages.add(page)
            examples.append(
                EditExample(index, evidence, SUPPORTS, (), "", page, entailed=tuple(decided), near=tuple(near))
            )
    anchors = [
        Statement(record.claim, SUPPORTS if record.label == SUPPORTS else REFUTES, record.page) for record in records
    ]
    return ExampleSet(tuple(examples), tuple(anchors))


def _first_of_each(records: Sequence[_Question]) -> list[_Question]:
    first: dict[str, _Question] = {}
    for record in records:
        first.setdefault(record.about, record)
    return list(first.values())


def _abouts(records: Sequence[_Question]) -> Mapping[str, str]:
    """Return what each known wording of a question is about."""
    return {text: record.about for record in records for text in (record.input, *record.meta.template_questions)}


def _edit(
    index: int, record: _Question, seed: int, all_wordings: bool, abouts: Mapping[str, str]
) -> EditExample | None:
    """Return the edit of a record, or nothing where it has no alternative or paraphrase."""
    paraphrases = [text for text in record.filtered_rephrases if text != record.input]
    if not record.alternatives or not paraphrases:
        return None
    rng = random.Random(seed_for("edited to", seed, index))
    target = rng.choice(record.alternatives)
    asked = paraphrases if all_wordings else [rng.choice(paraphrases)]
    near = [
        Statement(text, answer, abouts.get(text, text))
        for text, answer in (*record.meta.same_subject, *record.meta.same_relation)
    ]
    old = record.output[0].answer
    return EditExample(index, record.input, target, (record.input, *asked), old, record.about, near=tuple(near))


def _entailed(
    record: _Question, target: str, questions: Sequence[Sequence[str]], line: str, rng: random.Random
) -> list[Statement]:
    """Return what the edit entails: implied questions, then statements that are true or false after it."""
    old = record.output[0].answer
    found = [Statement(text.replace(old, target), answer) for text, answer, *_ in questions if old in text]
    if old in line:
        others = [name for name in record.alternatives if name != target]
        named = target if not others or rng.random() < 0.5 else rng.choice(others)
        verdict = TRUE if named == target else FALSE
        found.append(Statement(rng.choice(TRUTH_PROMPTS) + line.replace(old, named), verdict))
    return found


def _one_of_each(entailed: Sequence[Statement], rng: random.Random) -> list[Statement]:
    """Return one implied question and one statement to be judged, as far as there are any."""
    judged = [item for item in entailed if item.target in (TRUE, FALSE)]
    implied = [item for item in entailed if item.target not in (TRUE, FALSE)]
    return [rng.choice(kind) for kind in (implied, judged) if kind]


def _further_anchors(
    record: _Question, questions: Sequence[Sequence[str]], line: str, rng: random.Random
) -> list[Statement]:
    answer = record.output[0].answer
    found = [Statement(text, answer, record.about) for text in record.filtered_rephrases[:1]]
    found += [Statement(text, reply, record.about) for text, reply, *_ in questions[:1]]
    if line:
        found.append(Statement(rng.choice(TRUTH_PROMPTS) + line, rng.choice((TRUE, FALSE)), record.about))
    return found
