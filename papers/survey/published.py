"""The authors' own probes of portability, from files of EasyEdit's archive (`portability/`), for the records they fit.

Each line is a record of zsRE in MEND's format, or of CounterFact in ROME's, with one more field: the question with an
alias of the subject (Subject Replace), the question asked from the object (Inverse Relation), or a question whose
answer is one step further (One Hop).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from papers.survey.contract import PORTABILITY
from papers.survey.records import SurveyProbe, SurveyRecord
from shared.data.reading import load_records
from shared.errors import DataError

Key = tuple[str, str, str]


def read_published(family: str, path: str | Path) -> dict[Key, SurveyProbe]:
    """Return one family's probes by (subject, question or prompt with `{}`, new object).

    Raises:
        DataError: the family is none of portability, or a record lacks a field.
    """
    if family not in PORTABILITY:
        raise DataError(f"{path}: published probes are of {', '.join(PORTABILITY)}, got {family!r}")
    found = {}
    for index, record in enumerate(load_records(path)):
        try:
            key = _key(record)
            question, answer = _probe(family, record)
        except (KeyError, TypeError) as error:
            raise DataError(f"{path}: record {index} has no {error}; expected EasyEdit's file for {family}") from error
        found[key] = SurveyProbe(prompt=question, question=question, answer=answer)
    return found


def _key(record: Mapping[str, Any]) -> Key:
    if "requested_rewrite" in record:
        request = record["requested_rewrite"]
        return request["subject"], request["prompt"], request["target_new"]["str"]
    return record["subject"], record["src"].replace(record["subject"], "{}"), record["alt"]


def _probe(family: str, record: Mapping[str, Any]) -> tuple[str, str]:
    subject, prompt, new = _key(record)
    if family == "one_hop":
        return record["portability"]["New Question"], record["portability"]["New Answer"]
    if family == "inverse":
        return record["inverse question"], subject
    if "requested_rewrite" in record:
        return prompt.replace("{}", record["alternative_subject"]), new
    return record["alter_subject_question"], new


def with_published(
    records: Sequence[SurveyRecord], probes: Mapping[str, Mapping[Key, SurveyProbe]]
) -> list[SurveyRecord]:
    """Return the records, each with the published probes of the very same edit in the place of any of that family."""
    found = []
    for record in records:
        key = record.subject, record.prompt, record.target_new
        own = {family: (by_edit[key],) for family, by_edit in probes.items() if key in by_edit}
        found.append(record.model_copy(update={"probes": {**record.probes, **own}}) if own else record)
    return found
