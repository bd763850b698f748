"""The tasks that learned editors are trained and tested on, from raw files to examples in three parts.

Early stopping looks at `validation`, which is cut from the training data; no number is reported on it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from shared.errors import ConfigError
from shared.learning.edit_examples import (
    ExampleSet,
    claim_examples,
    continuation_examples,
    counterfact_examples,
    question_examples,
    zsre_examples,
)
from shared.learning.scope_examples import evidence_claims, hard_questions, scoped_questions, scoped_statements

PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class Task:
    """A named kind of data with its files.

    Attributes:
        format: one of `FORMATS`.
        files: as the format wants them: one file for `counterfact`, `scoped_statements` and `zsre`; training and test
            file for `questions`, `claims`, `half_claims`, `scoped_questions` and `evidence`; continuations and passages
            of each for `continuations`; questions, implied questions and statements of each for `hard_questions`.
        validation: records of the training data that are set aside for early stopping.
        held_out: first records of a single file that are set aside for the test.
    """

    format: str
    files: Sequence[Path]
    validation: int
    held_out: int = 0

    def parts(self, seed: int = 0) -> Mapping[str, ExampleSet]:
        """Return train, validation and test.

        Raises:
            ConfigError: an unknown format or a wrong number of files.
            DataError: a file cannot be used, or has too few records.
        """
        if self.format not in FORMATS:
            raise ConfigError(f"examples of format {self.format!r} are unknown; expected one of {', '.join(FORMATS)}")
        count, make = FORMATS[self.format]
        if len(self.files) != count:
            raise ConfigError(f"examples of format {self.format!r} need {count} files, got {len(self.files)}")
        return make(self, seed)


def _from_one(read: Callable[..., ExampleSet]) -> Callable[[Task, int], dict[str, ExampleSet]]:
    return lambda task, _seed: {part: read(task.files[0], part, task.held_out, task.validation) for part in PARTS}


def _from_two(read: Callable[..., ExampleSet]) -> Callable[[Task, int], dict[str, ExampleSet]]:
    return lambda task, seed: _split(read(task.files[0], seed), read(task.files[1], seed), task.validation)


def _from_passages(task: Task, _seed: int) -> dict[str, ExampleSet]:
    train, test = (continuation_examples(task.files[i], task.files[i + 1]) for i in (0, 2))
    return _split(train, test, task.validation)


def _scoped(read: Callable[..., ExampleSet]) -> Callable[[Task, int], dict[str, ExampleSet]]:
    """Return a reader of as many training as test files, of which the latter give one wording of each kind."""

    def parts(task: Task, seed: int) -> dict[str, ExampleSet]:
        half = len(task.files) // 2
        test = read(*task.files[half:], seed, all_wordings=False)
        return _split(read(*task.files[:half], seed), test, task.validation)

    return parts


def _split(train: ExampleSet, test: ExampleSet, validation: int) -> dict[str, ExampleSet]:
    """Cut the last records of the training data off for validation; their statements are those that stand last too."""
    share = validation / max(len(train.examples), 1)
    cut = len(train.anchors) - max(2, round(share * len(train.anchors)))
    kept = len(train.examples) - validation
    return {
        "train": ExampleSet(train.examples[:kept], train.anchors[:cut]),
        "validation": ExampleSet(train.examples[kept:], train.anchors[cut:]),
        "test": test,
    }


# Format → how many files it has, and how they become three parts.
FORMATS: dict[str, tuple[int, Callable[[Task, int], dict[str, ExampleSet]]]] = {
    "counterfact": (1, _from_one(counterfact_examples)),
    "zsre": (1, _from_one(zsre_examples)),
    "questions": (2, _from_two(question_examples)),
    "claims": (2, _from_two(claim_examples)),
    "half_claims": (2, _from_two(lambda path, seed: claim_examples(path, seed, keep_half=True))),
    "continuations": (4, _from_passages),
    "scoped_statements": (1, _from_one(scoped_statements)),
    "scoped_questions": (2, _scoped(scoped_questions)),
    "hard_questions": (6, _scoped(hard_questions)),
    "evidence": (2, _scoped(evidence_claims)),
}
