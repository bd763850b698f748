"""What learned editors are trained and tested on: edits with equivalent inputs, and statements that must not change.

Each reader turns one raw format into an `ExampleSet`. The formats are those of the papers' data: CounterFact and zsRE
as ROME uses them, the annotated zsRE and FEVER lines of De Cao et al. (2021), and sampled continuations of text (MEND).
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, Field

from shared.data.reading import read_records
from shared.data.requests import read_counterfact, read_zsre
from shared.data.templates import fill
from shared.errors import ConfigError, DataError
from shared.records import read_json
from shared.seeding import seed_for


@dataclass(frozen=True)
class Statement:
    """An input and its answer; `about` names what it is about, where that is known."""

    source: str
    target: str
    about: str = ""


@dataclass(frozen=True)
class EditExample:
    """One edit: after it, `source` and all `equivalents` are answered by `target`.

    Attributes:
        example_id: number of the record in its file.
        old: the model's answer before, where it is known.
        about: what the edit is about, where that is known; statements about the same are no anchors of it.
        entailed: further inputs that the edit decides, each with an answer of its own.
        near: statements that are easily taken for ones about the edit, and are not.
    """

    example_id: int
    source: str
    target: str
    equivalents: tuple[str, ...]
    old: str = ""
    about: str = ""
    entailed: tuple[Statement, ...] = ()
    near: tuple[Statement, ...] = ()


@dataclass(frozen=True)
class ExampleSet:
    """Edits, and the statements that locality is measured on."""

    examples: tuple[EditExample, ...]
    anchors: tuple[Statement, ...]

    def __post_init__(self) -> None:
        if len(self.examples) < 2 or len(self.anchors) < 2:
            raise DataError(
                f"{len(self.examples)} edits and {len(self.anchors)} statements for locality: at least two of each are "
                "needed; use more records"
            )


class _Answer(BaseModel):
    answer: str


class _Meta(BaseModel):
    subject: str = ""
    relation_id: str = ""


class _Annotated(BaseModel):
    """A line of De Cao et al.'s data: an input, the model's answer, other answers, paraphrases it agrees on.

    Where `meta` names subject and relation, several lines may be about one fact.
    """

    input: str
    prediction: str
    alternatives: tuple[str, ...]
    filtered_rephrases: tuple[str, ...]
    output: tuple[_Answer, ...] = Field(min_length=1)
    meta: _Meta = _Meta()

    @property
    def about(self) -> str:
        """The fact, or "" where the file does not tell it."""
        return f"{self.meta.subject}: {self.meta.relation_id}" if self.meta.subject else ""


def counterfact_examples(path: str | Path, part: str, held_out: int, validation: int) -> ExampleSet:
    """Return one part of a CounterFact file as edits; anchors are the records' own true statements.

    An edit's anchors are thus prompts about random other subjects, never its neighborhood (ROME, App. E: this is why
    editors that were trained so lose specificity there).

    Args:
        part: `test` (the first `held_out` records, which ROME's evaluation edits), `validation` (the next so many), or
            `train` (all others).
    """
    cases = part_of(read_counterfact(path), part, held_out, validation)
    return ExampleSet(
        tuple(
            EditExample(
                case.case_id,
                fill(case.request.prompt, case.request.subject),
                case.request.target_new,
                case.paraphrase_prompts,
                case.request.target_true or "",
            )
            for case in cases
        ),
        tuple(
            Statement(fill(case.request.prompt, case.request.subject), case.request.target_true or "") for case in cases
        ),
    )


def zsre_examples(path: str | Path, part: str, held_out: int, validation: int) -> ExampleSet:
    """Return one part of a zsRE file as edits; anchors are the records' unrelated questions. `part` as above."""
    cases = part_of(read_zsre(path)[0], part, held_out, validation)
    return ExampleSet(
        tuple(
            EditExample(
                case.case_id,
                fill(case.request.prompt, case.request.subject),
                case.request.target_new,
                case.paraphrase_prompts,
            )
            for case in cases
        ),
        tuple(Statement(f"{item.prompt}?", item.answer) for case in cases for item in case.locality),
    )


def part_of(cases: Sequence, part: str, held_out: int, validation: int) -> Sequence:
    """Return the records of one part: `test`, `validation` or `train`, in this order in a file.

    Raises:
        ConfigError: there is no such part.
    """
    bounds = {
        "test": (0, held_out),
        "validation": (held_out, held_out + validation),
        "train": (held_out + validation, len(cases)),
    }
    if part not in bounds:
        raise ConfigError(f"part {part!r} of the records is unknown; expected one of {', '.join(bounds)}")
    start, stop = bounds[part]
    return cases[start:stop]


def question_examples(path: str | Path, seed: int = 0) -> ExampleSet:
    """Return an annotated zsRE file's questions as edits to one of their alternatives, drawn per record.

    Records without alternatives or paraphrases are left out, as in MEND's loaders. Anchors are the questions with their
    gold answers.
    """
    return _annotated(path, lambda record, rng: rng.choice(record.alternatives), seed)


def claim_examples(path: str | Path, seed: int = 0, keep_half: bool = False) -> ExampleSet:
    """Return an annotated FEVER file's claims as edits to the other verdict.

    Args:
        keep_half: edit every second claim, by a coin, to the verdict that it has already (MEND's code; no edit at all
            then succeeds in half of all cases).
    """
    return _annotated(
        path,
        lambda record, rng: record.prediction if keep_half and rng.random() < 0.5 else record.alternatives[0],
        seed,
    )


def _annotated(path: str | Path, target_of: Callable[[_Annotated, random.Random], str], seed: int = 0) -> ExampleSet:
    records = read_records(path, _Annotated)
    examples = []
    for index, record in enumerate(records):
        equivalents = tuple(text for text in record.filtered_rephrases if text != record.input)
        if record.alternatives and equivalents:
            target = target_of(record, random.Random(seed_for("edited to", seed, index)))
            known = {"old": record.prediction, "about": record.about}
            examples.append(EditExample(index, record.input, target, equivalents, **known))
    anchors = tuple(Statement(record.input, record.output[0].answer, record.about) for record in records)
    return ExampleSet(tuple(examples), anchors)


class _Continuations(BaseModel):
    """MEND's file of texts and what a model sampled after them."""

    n_tokens: int = Field(ge=1)
    original: tuple[str, ...]
    completions: tuple[str, ...]


def continuation_examples(path: str | Path, passages: str | Path) -> ExampleSet:
    """Return sampled continuations as edits of the texts before them; equivalent inputs are cut from the text later.

    Anchors are whole passages, of which every token counts.
    """
    raw = _Continuations.model_validate(read_json(path))
    if len(raw.original) != len(raw.completions):
        raise DataError(f"{path}: {len(raw.original)} texts and {len(raw.completions)} continuations, expected as many")
    lines = Path(passages).read_text(encoding="utf-8").splitlines()
    examples = [
        EditExample(index, text, continuation, ())
        for index, (text, continuation) in enumerate(zip(raw.original, raw.completions, strict=True))
    ]
    anchors = [Statement(first, rest) for first, _, rest in (line.strip().partition(" ") for line in lines) if rest]
    return ExampleSet(tuple(examples), tuple(anchors))
