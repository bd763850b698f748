"""Single edits, batches and sequences: when edits are made, when they are taken back, and when questions are asked.

In every protocol answers are compared with those of the unedited model (`papers.survey.listening`).
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from papers.survey.contract import IMMEDIATE
from papers.survey.costs import measured
from papers.survey.detector import ChangeSoFar
from papers.survey.listening import Listener
from papers.survey.methods import MEMORIES
from shared.data.probes import Probe, ProbeRow, rewrite_prompt
from shared.data.requests import Case
from shared.editing.editors import Editor
from shared.edits.deltas import Edit, applied, row_edits
from shared.inference.generation import generate
from shared.measures.text_metrics import generation_entropy
from shared.model.models import LM
from shared.model.tokens import encode
from shared.seeding import seed_for

Asked = Callable[[Case], list[Probe]]
TOP_K = 5


def blocks(cases: Sequence[Case], size: int) -> list[Sequence[Case]]:
    """Return consecutive blocks of `size` cases; the last may be short."""
    return [cases[first : first + size] for first in range(0, len(cases), size)]


def single(
    listener: Listener, name: str, editor: Editor, cases: Sequence[Case], asked: Asked, block: int
) -> Iterator[ProbeRow]:
    """Edit each case on its own, from the unedited model, and ask its probes; yield their rows case by case.

    Args:
        block: cases that are edited and asked together, each row of a pass under its own edit.
    """
    for chosen in blocks(cases, block):
        probes = [asked(case) for case in chosen]
        made = editor.edit_each(listener.lm, [case.request for case in chosen])
        edit_of = [index for index, of_case in enumerate(probes) for _ in of_case]
        with row_edits(listener.lm, made) as edits:
            yield from listener.ask(
                [probe for of_case in probes for probe in of_case],
                name,
                "single",
                edits=edits,
                edit_of=edit_of,
                made=made,
            )


def batch(
    listener: Listener,
    name: str,
    editor: Editor,
    cases: Sequence[Case],
    asked: Asked,
    n: int,
    costs: list[tuple[float, float]] | None = None,
) -> Iterator[ProbeRow]:
    """Edit blocks of `n` cases together, each from the unedited model, and ask each block's own probes.

    Args:
        costs: takes seconds per edit and MiB of every whole block, if given.
    """
    for chosen in blocks(cases, n):
        requests = [case.request for case in chosen]
        edit, seconds, peak = measured(listener.lm, partial(editor.edit, listener.lm, requests))
        if costs is not None and len(chosen) == n:
            costs.append((seconds / n, peak))
        yield from _under(listener, name, f"batch:{n}", edit, [probe for case in chosen for probe in asked(case)])


def _under(listener: Listener, name: str, protocol: str, edit: Edit, probes: Sequence[Probe]) -> list[ProbeRow]:
    with applied(listener.lm, edit):
        return listener.ask(probes, name, protocol, made=[edit])


@dataclass
class EditSequence:
    """What a sequence of edits leaves: rows of all moments, and one line of numbers per edit."""

    rows: list[ProbeRow] = field(default_factory=list)
    edits: list[dict[str, Any]] = field(default_factory=list)


class Carrier:
    """A model that carries the edits of a sequence; leaving the context restores every bit of it.

    A method that holds its edits in a memory replaces its one edit by that of all facts so far; any other method edits
    the model as its earlier edits have left it.
    """

    def __init__(self, lm: LM, name: str, editor: Editor):
        self.lm, self.editor, self.remembers = lm, editor, name in MEMORIES
        self._stack = ExitStack()
        self._requests: list = []

    def carry(self, case: Case) -> Edit:
        """Make one more edit and apply it."""
        self._requests.append(case.request)
        if self.remembers:
            self._stack.close()
        edit = self.editor.edit(self.lm, self._requests if self.remembers else [case.request])
        self._stack.enter_context(applied(self.lm, edit))
        return edit

    def __enter__(self) -> "Carrier":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()


def sequence(
    listener: Listener,
    name: str,
    editor: Editor,
    cases: Sequence[Case],
    asked: Asked,
    *,
    checkpoints: Sequence[int],
    text_every: int,
    text_length: int,
) -> EditSequence:
    """Edit one case after another in one model that keeps every edit, and ask at three moments.

    Args:
        checkpoints: after how many edits all cases so far are asked; the last one is the sequence's end.
        text_every: after every so many edits the model writes a text behind the last edit's prompt.
        text_length: tokens of such a text, the prompt included.

    Returns:
        rows of the protocols `sequence:immediate` (each case right after its own edit) and
        `sequence:checkpoint:<T>`; one line per edit with `edits` (its place, from 1), `norm_growth`, `update_norm` and
        `entropy` in bits (None where no text was written).
    """
    found, change, count = EditSequence(), ChangeSoFar(listener.lm), max(checkpoints)
    with Carrier(listener.lm, name, editor) as carrier:
        for place, case in enumerate(cases[:count], start=1):
            edit = carrier.carry(case)
            update = change.add(edit)
            found.rows += _asked_now(listener, name, f"sequence:{IMMEDIATE}", edit, asked(case))
            if place in checkpoints:
                probes = [probe for earlier in cases[:place] for probe in asked(earlier)]
                found.rows += _asked_now(listener, name, f"sequence:checkpoint:{place}", edit, probes)
            text = place % text_every == 0 or place == 1
            entropy = text_entropy(listener.lm, case, text_length) if text else None
            found.edits.append(
                {"edits": place, "norm_growth": change.growth, "update_norm": update, "entropy": entropy}
            )
    return found


def _asked_now(listener: Listener, name: str, protocol: str, edit: Edit, probes: Sequence[Probe]) -> list[ProbeRow]:
    return listener.ask(probes, name, protocol, made=[edit])


def text_entropy(lm: LM, case: Case, length: int) -> float:
    """Return the n-gram entropy, in bits, of a text that the model writes behind a case's prompt (top-k sampling)."""
    ids = encode(lm, rewrite_prompt(case))
    seed = seed_for("survey", "text", case.case_id)
    text = generate(lm, [ids], max_length=length, seeds=[seed], top_k=TOP_K)[0]
    return generation_entropy(lm.tokenizer.decode(text))
