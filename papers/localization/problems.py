"""The five editing problems (§5.1 and §5.2): what an edit is asked to do with a fact (s, r, o_true)."""

from dataclasses import dataclass
from typing import Literal

from shared.data.requests import Case, EditRequest
from shared.errors import ConfigError, DataError

Wanted = Literal["new", "true", "noised"]


@dataclass(frozen=True)
class Problem:
    """One kind of change.

    Attributes:
        key: name in files and settings.
        title: name in the paper.
        wanted: whose probability the edit changes: o_false (`new`), o_true (`true`), or o_noise (`noised`), what the
            model says when the subject is corrupted.
        objective: whether that probability is maximised or minimised.
        corrupted: whether the subject's embeddings are corrupted, while editing and while scoring.
    """

    key: str
    title: str
    wanted: Wanted
    objective: Literal["maximise", "minimise"] = "maximise"
    corrupted: bool = False


PROBLEMS = {
    problem.key: problem
    for problem in (
        Problem("error_injection", "Error Injection", "new"),
        Problem("tracing_reversal", "Tracing Reversal", "noised"),
        Problem("fact_erasure", "Fact Erasure", "true", objective="minimise"),
        Problem("fact_amplification", "Fact Amplification", "true"),
        Problem("fact_forcing", "Fact Forcing", "true", corrupted=True),
    )
}


def problem_named(key: str) -> Problem:
    """Return the problem called `key`.

    Raises:
        ConfigError: there is none of that name.
    """
    if key not in PROBLEMS:
        raise ConfigError(f"editing problem {key!r} is unknown; choose one of {', '.join(PROBLEMS)}")
    return PROBLEMS[key]


def request_for(problem: Problem, case: Case, noised_answer: str | None = None) -> EditRequest:
    """Return the edit that a problem asks for: its `target_new` is the object whose probability is to change.

    Args:
        noised_answer: o_noise of this case, for Tracing Reversal.

    Raises:
        DataError: the case lacks the object that the problem is about.
    """
    request = case.request
    target = {"new": request.target_new, "true": request.target_true, "noised": noised_answer}[problem.wanted]
    if target is None:
        raise DataError(f"case_id {case.case_id}: {problem.title} needs the {problem.wanted} object, which is missing")
    return request.model_copy(update={"target_new": target})
