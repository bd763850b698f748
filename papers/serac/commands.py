"""What the paper's command line does: keep a memory of edits, and ask a model with it."""

import argparse
from pathlib import Path

from pydantic import BaseModel

from papers.serac.counterfactual import generated, load_counterfactual
from papers.serac.descriptor import Descriptor
from papers.serac.memory import EditMemory
from papers.serac.method import route
from papers.serac.scope import load_scope
from papers.serac.texts import counterfactual_text
from shared import runtime
from shared.data.reading import read_records
from shared.editing.command import say
from shared.errors import ConfigError
from shared.inference.verdicts import claim_logits
from shared.model.models import LM, load_model


class _Edit(BaseModel):
    input: str
    target: str = ""


def add(options: argparse.Namespace) -> None:
    """Add one edit, or the edits of a file together."""
    edits = [Descriptor(options.input or "", options.target)]
    if options.edits:
        edits = [Descriptor(record.input, record.target) for record in read_records(options.edits, _Edit)]
    numbers = EditMemory(options.memory).add(edits)
    say(f"added {len(numbers)} edits: " + (f"{numbers[0]} to {numbers[-1]}" if len(numbers) > 1 else f"{numbers}"))


def remove(options: argparse.Namespace) -> None:
    """Remove edits by number."""
    EditMemory(options.memory).remove(options.numbers)
    say(f"removed {', '.join(map(str, options.numbers))}")


def list(options: argparse.Namespace) -> None:  # noqa: A001 (the command's name)
    """Show all edits with their numbers."""
    for number, edit in EditMemory(options.memory).edits().items():
        say(f"{number:6d}  {edit.source}" + (f"  ->  {edit.target}" if edit.target else ""))


def compact(options: argparse.Namespace) -> None:
    """Write a memory's file anew with nothing but the edits that are held.

    Raises:
        ConfigError: the memory does not exist.
    """
    _require(options.memory)
    before = options.memory.stat().st_size
    EditMemory(options.memory).compact()
    held = len(EditMemory(options.memory).edits())
    say(f"{held} edits; {before} bytes before, {options.memory.stat().st_size} now")


def _require(memory: Path) -> None:
    if not memory.exists():
        raise ConfigError(f"{memory} does not exist; `add` makes it")


def ask(options: argparse.Namespace) -> None:
    """Ask questions with the memory and without it, and say which edit covers each.

    Raises:
        ConfigError: the memory does not exist.
    """
    _require(options.memory)
    base = load_model(options.model, kind=options.kind, device=runtime.start(options.threads, options.device))
    scope = load_scope(options.parts / options.scope)
    scope.model.to(base.device)
    counterfactual = load_counterfactual(options.parts / "counterfactual", base)
    held = EditMemory(options.memory).edits()
    numbers, edits = [*held], [*held.values()]
    routed = route(scope, edits, options.questions)
    for row, question in enumerate(options.questions):
        say(f"\n{question}")
        say(f"  without the memory: {_answer(base, question)}")
        if not edits:
            say("  the memory is empty")
            continue
        index, probability = int(routed.edit[row]), float(routed.log_score[row].exp())
        if routed.covered[row]:
            say(f"  with the memory:    {_answer(counterfactual, counterfactual_text(edits[index], question))}")
            say(f"  covered by edit {numbers[index]} ({edits[index].source} {edits[index].target}), {probability:.2f}")
        else:
            say(f"  covered by no edit; the likeliest is {numbers[index]}, {probability:.2f}")


def _answer(lm: LM, text: str) -> str:
    if lm.model.config.is_encoder_decoder:
        return generated(lm, text)
    logit = float(claim_logits(lm, [text])[0])
    return f"{'true' if logit > 0 else 'false'} (log-odds {logit:+.2f})"
