"""The cases that are edited: CounterFact as it is, and zsRE in the paper's CounterFact-like form (§5.1, App. E)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from shared.data.reading import load_records
from shared.data.requests import Case, EditRequest, read_counterfact, read_zsre
from shared.errors import ConfigError, DataError
from shared.seeding import seed_for

UNRELATED_MARK = "nq question: "


@dataclass(frozen=True)
class ZsreForm:
    """How zsRE's records become cases; `{}` is a question.

    Attributes:
        question: how the question and its rephrasing are put to the model.
        unrelated: how the unrelated question is put, which is stored without its question mark.
        true_answer: field of a record that holds what is true of its subject: `answers`, of which the first counts, as
            in the public file; or `pred`, where the file's answers are edits and so what the fact is changed to.
    """

    question: str = "Question: {} Answer:"
    unrelated: str = "Question: {}? Answer:"
    true_answer: str = "answers"

    def __post_init__(self) -> None:
        for name in ("question", "unrelated"):
            if getattr(self, name).count("{}") != 1:
                raise ConfigError(f"zsRE's {name} is {getattr(self, name)!r}, expected one {{}} for the question")
        if self.true_answer not in ("answers", "pred"):
            raise ConfigError(f"zsRE's true_answer is {self.true_answer!r}, expected answers or pred")


def read_cases(dataset: str, path: str | Path, form: ZsreForm | None = None) -> list[Case]:
    """Return the cases of a file.

    Args:
        dataset: `counterfact` or `zsre`.
        form: how zsRE's records become cases; the paper's if absent.

    Raises:
        ConfigError: the dataset is unknown.
        DataError: a record cannot be used.
    """
    if dataset == "counterfact":
        return read_counterfact(path)
    if dataset == "zsre":
        form, cases = form or ZsreForm(), read_zsre(path)[0]
        return zsre_cases(cases if form.true_answer == "answers" else _with_predictions(cases, path), form)
    raise ConfigError(f"dataset {dataset!r} is unknown; choose counterfact or zsre")


def _with_predictions(cases: Sequence[Case], path: str | Path) -> list[Case]:
    """Return the cases with their record's `pred` as the true object."""
    records, changed = load_records(path), []
    for case in cases:
        answer = records[case.case_id].get("pred")
        if not isinstance(answer, str) or not answer.strip():
            raise DataError(f"{path}: record {case.case_id}, field pred: got {answer!r}, expected the true answer")
        request = case.request.model_copy(update={"target_true": answer})
        changed.append(case.model_copy(update={"request": request}))
    return changed


def zsre_cases(cases: Sequence[Case], form: ZsreForm) -> list[Case]:
    """Return zsRE cases in CounterFact's form.

    A case whose true object is known from elsewhere is edited to its answer. Else its answer is the true object, and it
    is edited to an answer drawn uniformly from all others of the file; the draw depends on the case alone (the authors
    draw with one generator, in file order).
    """
    answers = sorted({case.request.target_new for case in cases})
    made = []
    for case in cases:
        true, new = case.request.target_true, case.request.target_new
        if true is None:
            true, new = new, _other_answer(case.case_id, new, answers)
        request = EditRequest(
            case_id=case.case_id,
            subject=case.request.subject,
            prompt=form.question.replace("{}", case.request.prompt),
            target_new=new,
            target_true=true,
        )
        unrelated = [question.prompt.removeprefix(UNRELATED_MARK) for question in case.locality]
        made.append(
            Case(
                request=request,
                paraphrase_prompts=tuple(form.question.replace("{}", text) for text in case.paraphrase_prompts),
                neighborhood_prompts=tuple(form.unrelated.replace("{}", text) for text in unrelated),
            )
        )
    return made


def _other_answer(case_id: int, true: str, answers: Sequence[str]) -> str:
    others = [answer for answer in answers if answer != true]
    if not others:
        raise ConfigError("zsRE: all cases have the same answer, so there is none to edit them to")
    return others[np.random.default_rng(seed_for("localization", "zsre", case_id)).integers(len(others))]
