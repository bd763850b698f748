"""Facts to edit and the cases built around them, read from the public datasets' own file formats.

A record that cannot be used stops the reading with a `DataError` that names file, case and field. The one exception is
zsRE, whose published protocol has no answer for questions that do not name their subject exactly once: those are handed
back as a list, so that a table can say how many there were.
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from shared.data.reading import check_record, read_records, refuse_duplicates

log = logging.getLogger(__name__)


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError(f"got {text!r}, expected a text that is not empty")
    return text


def _one_slot(template: str) -> str:
    slots = template.count("{}")
    if slots != 1:
        raise ValueError(f"got {slots} slots in {template!r}, expected exactly one '{{}}' where the subject stands")
    return template


Text = Annotated[str, AfterValidator(_not_blank)]
Template = Annotated[str, AfterValidator(_one_slot)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class EditRequest(_Frozen):
    """One fact to change: after the edit, `prompt` filled with `subject` should be continued by `target_new`.

    Attributes:
        case_id: number of the case in its dataset.
        subject: name that fills the slot of `prompt`.
        relation_id: Wikidata property such as `P103`, where known.
        prompt: template with one `{}`.
        target_new: the object the model shall answer with.
        target_true: the object it answers with now, where known.
        target_new_id, target_true_id: Wikidata items of the objects, where known.
    """

    case_id: int
    subject: Text
    relation_id: str | None = None
    prompt: Template
    target_new: Text
    target_true: Text | None = None
    target_new_id: str | None = None
    target_true_id: str | None = None


class QuestionAnswer(_Frozen):
    """A prompt and the answer that should follow it."""

    prompt: Text
    answer: Text


class FamilyProbe(QuestionAnswer):
    """A probe of what an edit should carry along, or leave alone (Yao et al. 2023, arXiv:2305.13172, §5).

    Attributes:
        family: what it asks for, such as `alias`, `inverse`, `one_hop`, `other_attribute`, `distracting`, `other_task`.
        follows: whether the answer follows from the edit; else it is the one that is true without it.
        wrong: the other choice, where the probe offers two.
    """

    family: Text
    follows: bool = False
    wrong: Text | None = None


class Case(_Frozen):
    """A request with everything asked about it.

    Attributes:
        request: the edit.
        paraphrase_prompts: other wordings of the request; the edit should reach them.
        neighborhood_prompts: prompts about other subjects whose true object is also `target_true`; it should not.
        attribute_prompts: prompts about other subjects whose true object is `target_new`.
        generation_prompts: beginnings about the subject, to be continued freely.
        locality: unrelated questions with their own answers (zsRE).
        family_probes: what should follow from the edit or stay as it is, by family (the survey's).
    """

    request: EditRequest
    paraphrase_prompts: tuple[Text, ...] = ()
    neighborhood_prompts: tuple[Text, ...] = ()
    attribute_prompts: tuple[Text, ...] = ()
    generation_prompts: tuple[Text, ...] = ()
    locality: tuple[QuestionAnswer, ...] = ()
    family_probes: tuple[FamilyProbe, ...] = ()

    @property
    def case_id(self) -> int:
        """Number of the case in its dataset."""
        return self.request.case_id


class KnownFact(BaseModel):
    """A fact that the traced model completes correctly (ROME, Appendix B.1).

    Attributes:
        known_id: number of the fact in its dataset.
        subject: the entity, which occurs in `prompt`.
        attribute: the completion.
        prompt: full text up to the attribute.
        template: a wording of the relation with one `{}`; `prompt` may go on after it.
        relation_id: Wikidata property.
    """

    model_config = ConfigDict(frozen=True)

    known_id: int
    subject: Text
    attribute: Text
    prompt: Text
    template: Template
    relation_id: str

    @model_validator(mode="after")
    def _subject_is_in_prompt(self) -> "KnownFact":
        if self.subject not in self.prompt:
            raise ValueError(f"subject {self.subject!r} is not in prompt {self.prompt!r}, expected to find it there")
        return self


class Skipped(_Frozen):
    """A record that its protocol cannot use, and why."""

    case_id: int
    reason: str


class _Object(BaseModel):
    text: Text = Field(alias="str")
    id: str | None = None


def _require_change(target_new: str, target_true: str | None) -> None:
    if target_true is not None and target_new.strip() == target_true.strip():
        raise ValueError(
            f"target_new and target_true are both {target_new!r}, expected an edit that changes the object"
        )


class _Rewrite(BaseModel):
    prompt: Template
    subject: Text
    relation_id: str | None = None
    target_new: _Object
    target_true: _Object

    @model_validator(mode="after")
    def _changes_something(self) -> "_Rewrite":
        _require_change(self.target_new.text, self.target_true.text)
        return self


class _CounterFactRecord(BaseModel):
    case_id: int
    requested_rewrite: _Rewrite
    paraphrase_prompts: tuple[Text, ...]
    neighborhood_prompts: tuple[Text, ...]
    attribute_prompts: tuple[Text, ...]
    generation_prompts: tuple[Text, ...]


class _ZsreRecord(BaseModel):
    subject: Text
    src: Text
    rephrase: Text
    answers: Annotated[tuple[Text, ...], Field(min_length=1)]
    loc: Text
    loc_ans: Text


class _OwnRecord(BaseModel):
    model_config = ConfigDict(extra="forbid")

    case_id: int | None = None
    subject: Text
    relation_id: str | None = None
    prompt: Template
    target_new: Text
    target_true: Text | None = None
    paraphrase_prompts: tuple[Text, ...] = ()
    neighborhood_prompts: tuple[Text, ...] = ()
    attribute_prompts: tuple[Text, ...] = ()
    generation_prompts: tuple[Text, ...] = ()
    locality: tuple[QuestionAnswer, ...] = ()
    family_probes: tuple[FamilyProbe, ...] = ()

    @model_validator(mode="after")
    def _changes_something(self) -> "_OwnRecord":
        _require_change(self.target_new, self.target_true)
        return self

    def case(self, case_id: int) -> Case:
        values = self.model_dump(exclude={"case_id"})
        own = {name: values.pop(name) for name in ("subject", "relation_id", "prompt", "target_new", "target_true")}
        return Case(request=EditRequest(case_id=case_id, **own), **values)


def read_counterfact(path: str | Path) -> list[Case]:
    """Read CounterFact records (ROME, §3.3 and Table 2), in file order.

    Raises:
        DataError: see `read_records`; also duplicate case ids.
    """
    records = read_records(path, _CounterFactRecord)
    refuse_duplicates(path, (record.case_id for record in records))
    return [
        Case(
            request=EditRequest(
                case_id=record.case_id,
                subject=record.requested_rewrite.subject,
                relation_id=record.requested_rewrite.relation_id,
                prompt=record.requested_rewrite.prompt,
                target_new=record.requested_rewrite.target_new.text,
                target_true=record.requested_rewrite.target_true.text,
                target_new_id=record.requested_rewrite.target_new.id,
                target_true_id=record.requested_rewrite.target_true.id,
            ),
            paraphrase_prompts=record.paraphrase_prompts,
            neighborhood_prompts=record.neighborhood_prompts,
            attribute_prompts=record.attribute_prompts,
            generation_prompts=record.generation_prompts,
        )
        for record in records
    ]


def _zsre_template(record: _ZsreRecord) -> str:
    """Return the question with its subject replaced by `{}`, or raise ValueError with the reason it cannot be."""
    occurrences = record.src.count(record.subject)
    if occurrences != 1:
        raise ValueError(f"subject {record.subject!r} occurs {occurrences} times in {record.src!r}, expected once")
    before, after = record.src.split(record.subject)
    if "{}" in before + after:
        raise ValueError(f"question {record.src!r} holds '{{}}' itself")
    if before and not before.endswith(" "):
        raise ValueError(f"subject {record.subject!r} is glued to the text before it in {record.src!r}")
    return f"{before}{{}}{after}"


def read_zsre(path: str | Path) -> tuple[list[Case], list[Skipped]]:
    """Read zsRE records in MEND's evaluation format; case_id is the position in the file.

    The question with its subject cut out is the request's prompt, the first answer its new target, the rephrased
    question its paraphrase. The unrelated Natural Questions item is kept as written; its question mark is added where
    probes are made.

    Returns:
        The cases, and the records whose subject does not occur exactly once as a word of its own. The lookup of the
        edited token is undefined there: the authors' code stops on them.

    Raises:
        DataError: see `read_records`.
    """
    cases, skipped = [], []
    for index, record in enumerate(read_records(path, _ZsreRecord, id_field="subject")):
        try:
            template = _zsre_template(record)
        except ValueError as reason:
            log.warning("%s: record %d skipped: %s", path, index, reason)
            skipped.append(Skipped(case_id=index, reason=str(reason)))
            continue
        request = EditRequest(case_id=index, subject=record.subject, prompt=template, target_new=record.answers[0])
        locality = QuestionAnswer(prompt=record.loc, answer=record.loc_ans)
        cases.append(Case(request=request, paraphrase_prompts=(record.rephrase,), locality=(locality,)))
    return cases, skipped


def read_known_facts(path: str | Path) -> list[KnownFact]:
    """Read the facts that causal tracing explains (ROME's `known_1000.json` format), in file order.

    Raises:
        DataError: see `read_records`; also a subject that is not in its prompt, or duplicate ids.
    """
    facts = read_records(path, KnownFact, id_field="known_id")
    refuse_duplicates(path, (fact.known_id for fact in facts), "known_id")
    return facts


def read_requests(path: str | Path) -> list[Case]:
    """Read facts of one's own from a JSON array or a `.jsonl` file.

    A record needs `subject`, `prompt` (with `{}` for the subject) and `target_new`. It may have `target_true`,
    `case_id` (else its position), `relation_id`, lists of `paraphrase_prompts`, `neighborhood_prompts`,
    `attribute_prompts`, `generation_prompts`, `locality` (objects with `prompt` and `answer`), and `family_probes`
    (these with `family`, and where they apply `follows` and `wrong`).

    Raises:
        DataError: see `read_records`; also unknown fields and duplicate case ids.
    """
    records = read_records(path, _OwnRecord)
    ids = [index if record.case_id is None else record.case_id for index, record in enumerate(records)]
    refuse_duplicates(path, ids)
    return [record.case(case_id) for case_id, record in zip(ids, records, strict=True)]


def own_case(fields: Mapping[str, Any], case_id: int, where: str) -> Case:
    """Return one fact of one's own, with the fields of `read_requests`, as a case.

    Args:
        case_id: its number, unless a field says it.
        where: what it is called in messages.

    Raises:
        DataError: a field is missing, unknown or wrong.
    """
    record = check_record(fields, _OwnRecord, where)
    return record.case(case_id if record.case_id is None else record.case_id)
