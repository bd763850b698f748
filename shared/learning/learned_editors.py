"""Editors that are trained: what they share, their list by name, and their files.

A learned editor turns a few (input, wanted answer) pairs into changes of named linear maps in one pass. It is trained
once per base model (`shared.learning.editor_training`), saved with the digest of that model, and refused for any other.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from safetensors import safe_open
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from shared.data.requests import EditRequest
from shared.data.templates import fill
from shared.edits.deltas import Edit
from shared.edits.factor_edits import Changes, edit_of
from shared.errors import ConfigError, DataError, ModelError
from shared.fit.moments import digests
from shared.inference.text_batches import IGNORED, TextBatch, TextRow, collate, encode_row, token_nll
from shared.model.models import LM
from shared.records import read_tensors, write_tensors

Build = Callable[..., "LearnedEditor"]
_METHODS: dict[str, Build] = {}
_DIRECT: dict[str, Callable[..., Any]] = {}


@dataclass(frozen=True)
class Edits:
    """Pairs to be edited in, as one batch.

    Attributes:
        batch: all pairs.
        group: which edit each row belongs to, in ascending order; the pairs of one edit hold together.
        n_groups: number of edits.
        conditions: token ids of what each row's condition says (the old answer, the new one and the input), for methods
            that read it.
    """

    batch: TextBatch
    group: Int[Tensor, " row"]
    n_groups: int
    conditions: Sequence[Sequence[int]]

    @classmethod
    def of(cls, lm: LM, groups: Sequence[Sequence[tuple[TextRow, Sequence[int]]]]) -> "Edits":
        """Return edits from each one's pairs of a row and its condition."""
        pairs = [pair for group in groups for pair in group]
        batch = collate(lm, [row for row, _ in pairs])
        index = [place for place, group in enumerate(groups) for _ in group]
        group = torch.tensor(index, device=batch.labels.device)
        return cls(batch, group, len(groups), [condition for _, condition in pairs])


def group_losses(
    logits: Float[Tensor, "row pos out"], batch: TextBatch, group: Int[Tensor, " row"], n_groups: int
) -> Float[Tensor, " group"]:
    """Return each edit's NLL as the mean over all label tokens of its rows (in nats)."""
    return _group_means(token_nll(logits, batch), batch.labels != IGNORED, group, n_groups)


def group_divergences(
    divergence: Float[Tensor, "row pos"], batch: TextBatch, group: Int[Tensor, " row"], n_groups: int
) -> Float[Tensor, " group"]:
    """Return each edit's divergence as the mean over all compared tokens of its rows (in nats)."""
    return _group_means(divergence, batch.mask, group, n_groups)


def _group_means(values: Tensor, counted: Tensor, group: Tensor, n_groups: int) -> Tensor:
    total = values.new_zeros(n_groups).index_add(0, group, values.sum(-1))
    return total / values.new_zeros(n_groups).index_add(0, group, counted.sum(-1).to(values.dtype))


def linear_maps(model: nn.Module, names: Sequence[str]) -> dict[str, nn.Module]:
    """Return the named linear maps of any model.

    Raises:
        ModelError: a name that does not exist, or is no linear map, or none at all.
    """
    if not names:
        raise ModelError("no module to edit is named; give the linear maps of the last blocks")
    found = {}
    for name in names:
        try:
            module = model.get_submodule(name)
        except AttributeError as error:
            raise ModelError(f"module {name!r} does not exist in this {type(model).__name__}") from error
        if not isinstance(module, nn.Linear | Conv1D):
            raise ModelError(f"module {name!r} is a {type(module).__name__}, expected a linear map")
        found[name] = module
    return found


def map_shape(module: nn.Module) -> tuple[int, int]:
    """Return (d_in, d_out) of a linear map, whichever way its weight is stored."""
    rows, columns = module.weight.shape
    return (rows, columns) if isinstance(module, Conv1D) else (columns, rows)


class LearnedEditor(nn.Module, ABC):
    """A trained method. Its parameters are what training moves; it holds no base model unless `host` says so.

    Attributes:
        method: its name in the list.
        modules: names of the linear maps that it changes.
        settings: what it was built with, for its file.
    """

    method: str

    def __init__(self, modules: Sequence[str], settings: Mapping[str, Any]):
        super().__init__()
        self.modules_edited = tuple(modules)
        self.settings = dict(settings)

    @abstractmethod
    def changes(self, lm: LM, edits: Edits, *, training: bool = False) -> Changes:
        """Return the changes of all edits, differentiable in the editor's parameters.

        Args:
            training: statistics that are collected while training are updated first.
        """

    def host(self, lm: LM) -> LM:
        """Return the model that is edited: the base model, or a trained copy of it."""
        return lm

    def optimiser_groups(self, lr: float | int) -> list[dict[str, Any]]:
        """Return the parameter groups of the optimiser; a method may give some parameters a rate of their own."""
        return [{"params": list(self.parameters()), "lr": lr}]

    def logged(self) -> dict[str, float]:
        """Return numbers worth a line of the training log, such as learned edit rates."""
        return {}


def register_learned(name: str, build: Build) -> None:
    """Make a learned method available; `build(lm, modules, **settings)` returns it untrained."""
    if name in _METHODS:
        raise ValueError(f"a learned method called {name!r} is registered already")
    _METHODS[name] = build


def learned_methods() -> list[str]:
    """Return the names of all learned methods whose modules have been imported."""
    return sorted(_METHODS)


def register_direct(name: str, build: Callable[..., Any]) -> None:
    """Make a method without training available for comparison; `build(lm, modules, pool, **settings)` returns it.

    It offers what `shared.learning.edit_success.Method` asks for; `pool` holds the training examples.
    """
    if name in _DIRECT:
        raise ValueError(f"a direct method called {name!r} is registered already")
    _DIRECT[name] = build


def direct_methods() -> list[str]:
    """Return the names of all methods without training whose modules have been imported."""
    return sorted(_DIRECT)


def build_direct(name: str, *arguments: Any, settings: Mapping[str, Any]) -> Any:
    """Return a method without training.

    Raises:
        ConfigError: one of its settings is unknown.
    """
    try:
        return _DIRECT[name](*arguments, **settings)
    except TypeError as error:
        raise ConfigError(f"method {name!r} does not take these settings: {error}") from error


def build_learned(name: str, lm: LM, modules: Sequence[str], settings: Mapping[str, Any]) -> LearnedEditor:
    """Return an untrained editor.

    Raises:
        ConfigError: the method or one of its settings is unknown.
    """
    if name not in _METHODS:
        raise ConfigError(f"learned method {name!r} is unknown; known here: {', '.join(learned_methods())}")
    try:
        return _METHODS[name](lm, modules, **settings)
    except TypeError as error:
        raise ConfigError(f"learned method {name!r} does not take these settings: {error}") from error


def save_learned(editor: LearnedEditor, lm: LM, path: str | Path, training: Mapping[str, Any]) -> None:
    """Write a trained editor as safetensors, with the digest of the model that it was trained on."""
    described = {
        "method": editor.method,
        "modules": editor.modules_edited,
        "settings": editor.settings,
        "base_model": digests(lm)["model"],
        "training": dict(training),
    }
    tensors = {name: value.clone() for name, value in editor.state_dict().items()}  # tied weights would be refused
    write_described(path, tensors, described)


def load_learned(path: str | Path, lm: LM) -> LearnedEditor:
    """Read a trained editor for `lm`.

    Raises:
        DataError: the file is absent, damaged, or no trained editor.
        ModelError: it was trained on another model.
    """
    tensors, described = read_tensors(path), read_description(path)
    if not {"method", "modules", "settings", "base_model"} <= set(described):
        raise DataError(f"{path}: not a trained editor: its description holds {sorted(described)}")
    found = digests(lm)["model"]
    if described["base_model"] != found:
        raise ModelError(
            f"{path}: this {described['method']} editor was trained on the model with digest "
            f"{described['base_model'][:12]}, the one at hand has {found[:12]}; train an editor on this model"
        )
    editor = build_learned(described["method"], lm, described["modules"], described["settings"])
    editor.load_state_dict(tensors)
    return editor.to(lm.device).eval().requires_grad_(False)


def write_described(path: str | Path, tensors: Mapping[str, Tensor], described: Mapping[str, Any]) -> None:
    """Write tensors with a description; equal contents give equal bytes (several metadata keys come in any order)."""
    write_tensors(path, tensors, {"described": json.dumps(dict(described), sort_keys=True)})


def read_description(path: str | Path) -> dict[str, Any]:
    """Return the description in a file of `write_described`, empty if there is none."""
    with safe_open(path, framework="pt") as file:
        return json.loads((file.metadata() or {}).get("described", "{}"))


class TrainedEditor:
    """A trained editor's file in the role of an editing method of decoders (`shared.editing.editors.Editor`).

    Args:
        name: key of the method.
        method: the learned method that the file must hold.
        file: the trained editor.

    Raises:
        ConfigError: no file is given.
    """

    def __init__(self, name: str, method: str, *, file: str | Path | None = None):
        if file is None:
            raise ConfigError(f"{name} needs a trained editor: give `file`, made by `python -m papers.mend train`")
        self.name, self.method, self.file = name, method, Path(file)
        self._loaded: tuple[int, LearnedEditor] | None = None

    def _editor(self, lm: LM) -> LearnedEditor:
        if self._loaded is None or self._loaded[0] != id(lm.model):
            editor = load_learned(self.file, lm)
            if editor.method != self.method:
                raise DataError(f"{self.file}: holds a {editor.method} editor, expected {self.method}")
            self._loaded = (id(lm.model), editor)
        return self._loaded[1]

    def edit(self, lm: LM, requests: Sequence[EditRequest]) -> Edit:
        """Return one edit from one gradient of all requests."""
        return self._edits(lm, [requests])[0]

    def edit_each(self, lm: LM, requests: Sequence[EditRequest]) -> list[Edit]:
        """Return one independent edit per request, all from one pass."""
        return self._edits(lm, [[request] for request in requests])

    def _edits(self, lm: LM, groups: Sequence[Sequence[EditRequest]]) -> list[Edit]:
        editor = self._editor(lm)
        edits = Edits.of(lm, [[request_pair(lm, request) for request in group] for group in groups])
        with torch.no_grad():
            changes = editor.changes(lm, edits)
        return [edit_of(changes, index) for index in range(len(groups))]


def request_pair(lm: LM, request: EditRequest) -> tuple[TextRow, list[int]]:
    """Return a request as the row to be edited in, and its condition: the whole statement (ROME's wrappers)."""
    row = encode_row(lm, fill(request.prompt, request.subject), request.target_new)
    return row, [*row.source, *row.target]
