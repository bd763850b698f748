"""Every method's edit of an encoder-decoder that answers questions.

What differs from decoders is how an edit is kept: weights and neurons as everywhere, a context before the question, or
a memory beside the model (`MemoryEdit`). Methods come by name from their rooms; trained ones from their files.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from papers.survey.random_direction import RandomDirection
from shared.data.requests import Case, EditRequest
from shared.data.templates import fill
from shared.editing.catalogue import find_method
from shared.editing.editors import Editor, make_editor, takes_of
from shared.edits.deltas import Edit
from shared.edits.factor_edits import Changes, edit_of
from shared.errors import ConfigError
from shared.inference.text_batches import TextRow, encode_row
from shared.learning.edit_examples import EditExample
from shared.learning.edit_pools import condition_ids
from shared.learning.edit_success import Method
from shared.learning.learned_editors import Edits, build_direct, load_learned
from shared.model.models import LM

TRAINED, TUNED, REMEMBERED, READ, RANDOM = "trained", "tuned", "remembered", "read", "random"
MEMORY = "memory"


@dataclass(frozen=True, eq=False)
class MemoryEdit(Edit):
    """An edit that is kept beside the model.

    Attributes:
        method: what answers with it.
        facts: what it holds, as the method prepared it.
    """

    method: Method | None = None
    facts: Any = None


def pair_of(lm: LM, request: EditRequest) -> tuple[TextRow, tuple[int, ...]]:
    """Return a request as the row to be edited in, and the condition that editors of questions are trained with.

    The condition is "old >> new || question" (De Cao et al. 2021), or the whole text where the old answer is not known.
    """
    question = fill(request.prompt, request.subject)
    row = encode_row(lm, question, request.target_new)
    example = EditExample(request.case_id, question, request.target_new, (), request.target_true or "")
    return row, condition_ids(lm, example, row)


def edits_of(lm: LM, groups: Sequence[Sequence[EditRequest]]) -> Edits:
    """Return requests as learned editors take them, those of a group together."""
    return Edits.of(lm, [[pair_of(lm, request) for request in group] for group in groups])


class _Grouped:
    """What methods share that edit several groups of requests at once."""

    name: str

    def edits(self, lm: LM, groups: Sequence[Sequence[EditRequest]]) -> list[Edit]:
        """Return one edit per group of requests."""
        raise NotImplementedError

    def edit(self, lm: LM, requests: Sequence[EditRequest]) -> Edit:
        """Return one edit that makes all requests hold together."""
        return self.edits(lm, [requests])[0]

    def edit_each(self, lm: LM, requests: Sequence[EditRequest]) -> list[Edit]:
        """Return one independent edit per request."""
        return self.edits(lm, [[request] for request in requests])


class TrainedOnQuestions(_Grouped):
    """A learned editor from its file (MEND, KnowledgeEditor)."""

    def __init__(self, name: str, lm: LM, file: str | Path):
        self.name, self._editor = name, load_learned(file, lm)

    def edits(self, lm: LM, groups: Sequence[Sequence[EditRequest]]) -> list[Edit]:
        """Return one edit per group, all from one pass; a group's edit is one gradient of all its requests."""
        with torch.no_grad():
            changes = self._editor.changes(lm, edits_of(lm, groups))
        return _each_of(changes, len(groups))


class TunedOnQuestions(_Grouped):
    """A method without training that moves named maps until the answers are right (FT-L)."""

    def __init__(self, name: str, lm: LM, method: str, modules: Sequence[str], settings: Mapping[str, Any]):
        self.name, self._method = name, build_direct(method, lm, modules, None, settings=settings)

    def edits(self, lm: LM, groups: Sequence[Sequence[EditRequest]]) -> list[Edit]:
        """Return one edit per group, tuned side by side."""
        return _each_of(self._method.prepare(lm, edits_of(lm, groups)), len(groups))


def _each_of(changes: Changes, count: int) -> list[Edit]:
    return [edit_of(changes, index) for index in range(count)]


class RememberedQuestions(_Grouped):
    """A method that keeps edits beside the model and answers with them (SERAC)."""

    def __init__(self, name: str, lm: LM, method: str, settings: Mapping[str, Any]):
        self.name, self._method = name, build_direct(method, lm, (), None, settings=settings)

    def edits(self, lm: LM, groups: Sequence[Sequence[EditRequest]]) -> list[Edit]:
        """Return one memory per group."""
        made = self._method.prepare(lm, edits_of(lm, groups))
        return [
            MemoryEdit((), {"facts": len(group)}, MEMORY, method=self._method, facts=facts)
            for group, facts in zip(groups, made, strict=True)
        ]


class ReadByEncoder:
    """A method by context, for a model without a longest input: the encoder reads at most `tokens` tokens."""

    def __init__(self, editor: Editor, tokens: int):
        self.name, self._editor, self._tokens = editor.name, editor, tokens

    def _limited(self, lm: LM) -> LM:
        view, arch = copy.copy(lm), copy.copy(lm.arch)
        arch.n_positions = self._tokens
        object.__setattr__(view, "arch", arch)
        return view

    def edit(self, lm: LM, requests: Sequence[EditRequest]) -> Edit:
        """Return the context of the last request."""
        return self._editor.edit(self._limited(lm), requests)

    def edit_each(self, lm: LM, requests: Sequence[EditRequest]) -> list[Edit]:
        """Return one context per request."""
        return self._editor.edit_each(self._limited(lm), requests)


def make_question_method(lm: LM, name: str, given: Mapping[str, Any], pool: Sequence[Case]) -> Editor:
    """Return a method for an encoder-decoder.

    Args:
        name: of the row in the tables.
        given: `how` says where it comes from: `trained` with `file`; `tuned` or `remembered` with `method`, the name of
            a method without training, and its settings (`modules`: the maps that are tuned); `read` with `tokens`, for
            a method by context; `random` with `of`, the description of the method whose norms are taken; absent for an
            editor of the catalogue. Everything else is a setting.
        pool: what a method may take examples from.

    Raises:
        ConfigError: an unknown way, method or setting.
    """
    settings = dict(given)
    how = settings.pop("how", None)
    if how == TRAINED:
        return TrainedOnQuestions(name, lm, settings["file"])
    if how == TUNED:
        return TunedOnQuestions(name, lm, settings.pop("method"), settings.pop("modules"), settings)
    if how == REMEMBERED:
        return RememberedQuestions(name, lm, settings.pop("method"), settings)
    if how == RANDOM:
        return RandomDirection(make_question_method(lm, RANDOM, settings["of"], pool))
    if how not in (None, READ):
        raise ConfigError(
            f"method {name!r}: how is {how!r}, expected {TRAINED}, {TUNED}, {REMEMBERED}, {READ} or {RANDOM}"
        )
    tokens = settings.pop("tokens", None)
    if name != "none":
        find_method(name).load()
    if "pool" in takes_of(name):
        settings["pool"] = pool
    editor = make_editor(name, **settings)
    return editor if how is None else ReadByEncoder(editor, tokens)
