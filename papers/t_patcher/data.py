"""Examples from files in FEVER and zsRE form (De Cao et al. 2021; KILT), from CounterFact, and one's own mistakes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import BaseModel, Field, ValidationError

from papers.t_patcher.problem import Example, Sources
from shared.data.requests import Case, read_counterfact
from shared.data.templates import fill
from shared.errors import ConfigError, DataError
from shared.records import read_jsonl
from shared.seeding import seed_for

RECORDS, REQUESTS = FORMATS = ("records", "requests")


@dataclass(frozen=True)
class Sizes:
    """How many examples an experiment has of each kind, beside its edits.

    Attributes:
        memory, validation: whose inputs are remembered, for training patches and for stopping.
        train: of TrainR.
        edit, test: only the first so many; None for all.
    """

    memory: int
    validation: int
    train: int
    edit: int | None = None
    test: int | None = None


class _Answer(BaseModel):
    answer: str


class _Meta(BaseModel):
    """What the world's files say beyond the published form: the same question about other subjects."""

    same_relation: tuple[tuple[str, str], ...] = ()


class _Record(BaseModel):
    """A line of the data: an input, its answers, and other wordings."""

    input: str = Field(min_length=1)
    output: tuple[_Answer, ...] = Field(min_length=1)
    rephrases: tuple[str, ...] = ()
    meta: _Meta = _Meta()


def read_examples(path: str | Path, *, rephrased: bool = False) -> list[Example]:
    """Return the examples of a JSON-lines file with `input`, `output: [{answer}]` and `rephrases`.

    Only records with one answer are kept, as in the authors' loader.

    Args:
        rephrased: leave out records without another wording (edit examples need them for GR).

    Raises:
        DataError: a line lacks a field or has one of a wrong type; the message names file and line.
    """
    found = []
    for number, line in enumerate(read_jsonl(path)):
        try:
            record = _Record.model_validate(line)
        except ValidationError as error:
            faults = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
            raise DataError(f"{path}, line {number + 1}: {faults}") from error
        rephrases = tuple(dict.fromkeys(text for text in record.rephrases if text != record.input))
        if len(record.output) == 1 and (rephrases or not rephrased):
            near = record.meta.same_relation[:1]
            found.append(Example(number, record.input, record.output[0].answer, rephrases, near))
    if not found:
        raise DataError(f"{path}: no record has one answer{' and another wording' if rephrased else ''}")
    return found


def read_sources(edit: str | Path, train: str | Path, test: str | Path, sizes: Sizes, seed: int = 0) -> Sources:
    """Return the parts of an experiment (§5.1): the training file gives memory, TrainR set and validation memory.

    The authors take the validation memory from D_val; here it is a third disjoint part of the training file, so that
    the test file stays for TestR alone.

    Args:
        edit, train, test: files as `read_examples` wants them.
        sizes: of the parts.
        seed: of the division.

    Raises:
        DataError: the training file has too few records.
    """
    memory, train_sub, validation = _divided(read_examples(train), sizes, seed, str(train))
    edits = _numbered(read_examples(edit, rephrased=True)[: sizes.edit])
    return Sources(edits, memory, validation, train_sub, _numbered(read_examples(test)[: sizes.test]))


def request_sources(path: str | Path, sizes: Sizes, seed: int = 0) -> Sources:
    """Return the parts of an experiment on a causal language model, from a CounterFact file.

    The first records are mistakes whose right answers are the new objects, met by their prompts; a prompt of a
    neighbor, whose object is the true one, is what lies near. Statements of the other records are the rest: their
    true objects are to stay.

    Raises:
        ConfigError: the number of edits is open.
        DataError: the file has too few records.
    """
    if sizes.edit is None or sizes.test is None:
        raise ConfigError("requests: `edit` and `test` need numbers, since one file is divided among all parts")
    cases = [case for case in read_counterfact(path) if case.request.target_true]
    edits = _numbered([_asked(case) for case in cases[: sizes.edit]])
    told = [_told(case) for case in cases[sizes.edit :]]
    memory, train_sub, validation = _divided(told[sizes.test :], sizes, seed, str(path))
    return Sources(edits, memory, validation, train_sub, _numbered(told[: sizes.test]))


def _asked(case: Case) -> Example:
    one = case.request
    near = tuple((prompt, one.target_true) for prompt in case.neighborhood_prompts[:1])
    return Example(case.request.case_id, fill(one.prompt, one.subject), one.target_new, case.paraphrase_prompts, near)


def _told(case: Case) -> Example:
    return Example(case.request.case_id, fill(case.request.prompt, case.request.subject), case.request.target_true)


def _divided(examples: Sequence[Example], sizes: Sizes, seed: int, path: str) -> list[tuple[Example, ...]]:
    """Return examples of the memory, of TrainR and of the validation memory, drawn without repeats."""
    wanted = sizes.memory + sizes.train + sizes.validation
    if len(examples) < wanted:
        raise DataError(f"{path}: {len(examples)} records, expected {wanted} for memory, TrainR and validation")
    order = sorted(range(len(examples)), key=lambda index: seed_for("t_patcher", "division", seed, index))
    parts: list[tuple[Example, ...]] = []
    first = 0
    for count in (sizes.memory, sizes.train, sizes.validation):
        parts.append(_numbered([examples[index] for index in order[first : first + count]]))
        first += count
    return parts


def _numbered(examples: Sequence[Example]) -> tuple[Example, ...]:
    return tuple(replace(example, example_id=number) for number, example in enumerate(examples))
