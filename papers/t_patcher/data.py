"""Examples from raw files in FEVER and zsRE form (De Cao et al. 2021; KILT), and from one's own files of mistakes."""

from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, Field, ValidationError

from papers.t_patcher.problem import Example, Sources
from shared.errors import DataError
from shared.records import read_jsonl
from shared.seeding import seed_for


class _Answer(BaseModel):
    answer: str


class _Record(BaseModel):
    """A line of the data: an input, its answers, and other wordings."""

    input: str = Field(min_length=1)
    output: tuple[_Answer, ...] = Field(min_length=1)
    rephrases: tuple[str, ...] = ()


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
            found.append(Example(number, record.input, record.output[0].answer, rephrases))
    if not found:
        raise DataError(f"{path}: no record has one answer{' and another wording' if rephrased else ''}")
    return found


def read_sources(
    edit: str | Path,
    train: str | Path,
    test: str | Path,
    *,
    memory: int,
    train_sub: int,
    validation: int,
    seed: int = 0,
) -> Sources:
    """Return the parts of an experiment (§5.1): the training file gives memory, TrainR set and validation memory.

    The authors take the validation memory from D_val; here it is a third disjoint part of the training file, so that
    the test file stays for TestR alone.

    Args:
        edit, train, test: files as `read_examples` wants them.
        memory, train_sub, validation: examples of each part of `train`.
        seed: of the division.

    Raises:
        DataError: the training file has too few records.
    """
    examples = read_examples(train)
    wanted = memory + train_sub + validation
    if len(examples) < wanted:
        raise DataError(f"{train}: {len(examples)} records, expected {wanted} for memory, TrainR and validation")
    order = sorted(range(len(examples)), key=lambda index: seed_for("t_patcher", "division", seed, index))
    parts: list[tuple[Example, ...]] = []
    first = 0
    for count in (memory, train_sub, validation):
        parts.append(_numbered([examples[index] for index in order[first : first + count]]))
        first += count
    edits = _numbered(read_examples(edit, rephrased=True))
    return Sources(edits, parts[0], parts[2], parts[1], _numbered(read_examples(test)))


def _numbered(examples: Sequence[Example]) -> tuple[Example, ...]:
    return tuple(
        Example(number, example.source, example.target, example.rephrases) for number, example in enumerate(examples)
    )
