"""The cases that are edited: CounterFact as it is, and zsRE in the paper's CounterFact-like form (§5.1, App. E)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from shared.errors import ConfigError
from shared.requests import Case, EditRequest, read_counterfact, read_zsre
from shared.seeding import seed_for

UNRELATED_MARK = "nq question: "


@dataclass(frozen=True)
class Wording:
    """How zsRE's questions are put to the model; `{}` is the question.

    Attributes:
        question: for the question and its rephrasing.
        unrelated: for the unrelated question, which is stored without its question mark.
    """

    question: str = "Question: {} Answer:"
    unrelated: str = "Question: {}? Answer:"

    def __post_init__(self) -> None:
        for name in ("question", "unrelated"):
            if getattr(self, name).count("{}") != 1:
                raise ConfigError(f"wording {name} is {getattr(self, name)!r}, expected one {{}} for the question")


def read_cases(dataset: str, path: str | Path, wording: Wording | None = None) -> list[Case]:
    """Return the cases of a file.

    Args:
        dataset: `counterfact` or `zsre`.
        wording: of zsRE's questions; the paper's if absent.

    Raises:
        ConfigError: the dataset is unknown.
        DataError: a record cannot be used.
    """
    if dataset == "counterfact":
        return read_counterfact(path)
    if dataset == "zsre":
        return zsre_cases(read_zsre(path)[0], wording or Wording())
    raise ConfigError(f"dataset {dataset!r} is unknown; choose counterfact or zsre")


def zsre_cases(cases: Sequence[Case], wording: Wording) -> list[Case]:
    """Return zsRE cases whose first answer is what the model knows, and another case's answer what it is edited to.

    The other answer is drawn uniformly from all first answers of the file that differ from the true one; the draw
    depends on the case alone (the authors draw with one generator, in file order).
    """
    answers = sorted({case.request.target_new for case in cases})
    made = []
    for case in cases:
        true = case.request.target_new
        others = [answer for answer in answers if answer != true]
        if not others:
            raise ConfigError("zsRE: all cases have the same answer, so there is none to edit them to")
        drawn = np.random.default_rng(seed_for("localization", "zsre", case.case_id)).integers(len(others))
        request = EditRequest(
            case_id=case.case_id,
            subject=case.request.subject,
            prompt=wording.question.replace("{}", case.request.prompt),
            target_new=others[drawn],
            target_true=true,
        )
        unrelated = [question.prompt.removeprefix(UNRELATED_MARK) for question in case.locality]
        made.append(
            Case(
                request=request,
                paraphrase_prompts=tuple(wording.question.replace("{}", text) for text in case.paraphrase_prompts),
                neighborhood_prompts=tuple(wording.unrelated.replace("{}", text) for text in unrelated),
            )
        )
    return made
