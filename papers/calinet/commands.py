"""What the paper's command line does: score statements by contrast, and train slots on them."""

import argparse
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from papers.calinet.assessment import contrast_scores
from papers.calinet.slots import SlotSettings
from papers.calinet.slots import calibrate as train
from shared.editing.command import load, say
from shared.edits.deltas import applied
from shared.errors import DataError
from shared.inference.text_batches import encode_row
from shared.model.models import LM
from shared.records import read_jsonl, write_tensors


class Statement(BaseModel):
    """A prompt with its right object, contrasts, and further wordings."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    prompt: str = Field(min_length=1)
    object: str = Field(min_length=1)
    contrasts: tuple[str, ...] = Field(min_length=1)
    also: tuple[str, ...] = ()


def read_statements(path) -> list[Statement]:
    """Return the statements of a JSON-lines file.

    Raises:
        DataError: the file is empty, or a line lacks a field or has another one; the message names file and line.
    """
    found = []
    for number, line in enumerate(read_jsonl(path), start=1):
        try:
            found.append(Statement.model_validate(line))
        except ValidationError as error:
            faults = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
            raise DataError(f"{path}, line {number}: {faults}") from error
    if not found:
        raise DataError(f"{path}: no statements")
    return found


def _scores(lm: LM, statements: Sequence[Statement], alpha: float) -> list[float]:
    return contrast_scores(lm, [(one.prompt, one.contrasts, one.object) for one in statements], alpha)


def assess(options: argparse.Namespace) -> None:
    """Print the score of each statement, and the share that counts as false."""
    statements, lm = read_statements(options.statements), load(options)
    scores = _scores(lm, statements, options.alpha)
    for one, score in zip(statements, scores, strict=True):
        say(f"{score:9.3f}  {'false' if score < 1 else 'known'}  {one.prompt} {one.object}")
    say(f"{sum(score < 1 for score in scores)} of {len(scores)} statements count as false")


def calibrate(options: argparse.Namespace) -> None:
    """Train slots on statements, write them, and print the scores before and after.

    Raises:
        DataError: with `--false-only`, if no statement counts as false.
    """
    statements, lm = read_statements(options.statements), load(options)
    before = _scores(lm, statements, options.alpha)
    chosen = [one for one, score in zip(statements, before, strict=True) if score < 1 or not options.false_only]
    if not chosen:
        raise DataError(f"{options.statements}: no statement counts as false; there is nothing to calibrate")
    rows = [encode_row(lm, prompt, one.object) for one in chosen for prompt in (one.prompt, *one.also)]
    settings = SlotSettings(slots=options.slots, layer=options.layer, steps=options.steps)
    slots = train(lm, rows, settings, options.seed)
    with applied(lm, slots.edit()):
        after = _scores(lm, statements, options.alpha)
    for one, old, new in zip(statements, before, after, strict=True):
        say(f"{old:9.3f} -> {new:9.3f}  {one.prompt} {one.object}")
    info = {"model": str(options.model), "layer": str(slots.layer.layer)}
    write_tensors(options.out, {"key": slots.key, "value": slots.value}, info)
    say(f"{len(slots.key)} slots in layer {slots.layer.layer}, written to {options.out}")
