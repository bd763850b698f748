"""What the unedited model knows of each case, as `papers.localization.selection` found it, and which facts are used."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from papers.localization.modes import Mode
from papers.localization.problems import Problem
from shared.errors import DataError
from shared.records import read_jsonl

MIN_PROBABILITY = 0.02
ESSENCE_TEMPLATE = "{} is a"


@dataclass(frozen=True)
class Fact:
    """What the unedited model makes of one case.

    Attributes:
        case_id: the case.
        subject: its subject.
        completion: greedy continuation of the prompt.
        known: whether the true object stands in it, letter case aside (§5.1).
        probability: joint probability of the true object after the prompt.
        noised_answer: o_noise, the target of Tracing Reversal.
        essence: texts sampled from "{subject} is a", as token ids.
    """

    case_id: int
    subject: str
    completion: str
    known: bool
    probability: float
    noised_answer: str
    essence: list[list[int]]

    @classmethod
    def from_json(cls, row: Mapping[str, Any], where: str) -> "Fact":
        """Return the fact of one line.

        Raises:
            DataError: the line has other fields.
        """
        try:
            return cls(**row)
        except TypeError as error:
            raise DataError(f"{where}: {error}; expected a line of papers.localization.selection") from error


def read_facts(path: str | Path) -> list[Fact]:
    """Return the facts of a file, in its order.

    Raises:
        DataError: the file is absent or holds something else.
    """
    return [Fact.from_json(row, f"{path}, line {number}") for number, row in enumerate(read_jsonl(path), start=1)]


def usable(fact: Fact, mode: Mode, problem: Problem | None = None, *, known_only: bool = True) -> bool:
    """Return whether a fact enters an analysis: known, and likely enough where the problem or the mode asks for it.

    Fact Erasure needs p(o_true | s, r) ≥ 0.02 (§5.1): what is unlikely cannot be erased.

    Args:
        known_only: leave out what the model does not know, as the paper does.
    """
    wants_likely = mode.skips_unlikely or (problem is not None and problem.objective == "minimise")
    likely = fact.probability >= MIN_PROBABILITY or not wants_likely
    return (fact.known or not known_only) and likely and fact.case_id not in mode.skipped


def names_object(completion: str, target: str) -> bool:
    """Return whether a continuation names an object: as a substring, without regard to case and outer spaces."""
    return target.strip().lower() in completion.strip().lower()
