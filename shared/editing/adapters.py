"""Edits on disk: as safetensors for this project, as LoRA adapters for everyone else."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from peft import LoraConfig
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.functional import pad

from shared.editing.catalogue import find_method
from shared.edits.added_neurons import AddedNeurons
from shared.edits.deltas import Edit, WeightDelta
from shared.edits.routing import Router, load_router
from shared.errors import DataError, ModelError
from shared.model.models import LM, Architecture

_FIELDS = ("left", "right", "dense", "bias")
_PLACES, _NEURONS = ("up", "down", "activation"), ("key", "bias", "value")


def save_edit(edit: Edit, path: Path) -> None:
    """Write an edit to one safetensors file: changes of weights, added neurons, a context, or a memory of edits.

    Of a memory, the texts are written, and where the parts that read them stand, with their digest.
    """
    tensors = {
        f"{delta.module}:{name}": value.contiguous()
        for delta in edit.deltas
        for name in _FIELDS
        if (value := getattr(delta, name)) is not None
    }
    for place, group in enumerate(edit.neurons):
        tensors |= {f"neurons {place}:{name}": getattr(group, name).contiguous() for name in _NEURONS}
    places = [{name: getattr(group, name) for name in _PLACES} for group in edit.neurons]
    described = {"kind": edit.kind, "info": edit.info, "context": edit.context, "neurons": places}
    described["router"] = None if edit.router is None else edit.router.described()
    partial = path.with_name(path.name + ".part")
    save_file(tensors, partial, metadata={"edit": json.dumps(described)})
    partial.replace(path)


def load_edit(path: Path, lm: LM | None = None) -> Edit:
    """Read an edit written by `save_edit`.

    Args:
        lm: the base model, which an edit of kind `memory` needs.

    Raises:
        DataError: the file is not a readable safetensors file or holds something else, or a memory's parts are gone.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a mapping)
    except (SafetensorError, OSError) as error:
        raise DataError(f"{path}: cannot read an edit: {error}; write it again with save_edit") from error
    if "edit" not in metadata:
        raise DataError(f"{path}: holds tensors but does not say that they are an edit; write it with save_edit")
    described = json.loads(metadata["edit"])
    neurons = tuple(
        AddedNeurons(**group, **{name: tensors.pop(f"neurons {place}:{name}") for name in _NEURONS})
        for place, group in enumerate(described["neurons"])
    )
    fields: dict[str, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        module, _, name = key.rpartition(":")
        if name not in _FIELDS:
            raise DataError(f"{path}: unexpected tensor {key!r}; expected MODULE:{'|'.join(_FIELDS)}")
        fields.setdefault(module, {})[name] = value
    deltas = tuple(WeightDelta(module, **parts) for module, parts in fields.items())
    router = _router(path, described["router"], lm) if described.get("router") else None
    return Edit(deltas, described["info"], described["kind"], described["context"], neurons, router)


def _router(path: Path, described: Mapping[str, Any], lm: LM | None) -> Router:
    if lm is None:
        raise DataError(f"{path}: holds a memory of edits, which needs the base model: load it with ModelEditor")
    find_method(described["method"]).load()
    return load_router(described, lm)


def save_lora(lm: LM, edit: Edit, folder: Path) -> None:
    """Write a weight edit as a LoRA adapter that `peft` loads on the unedited model with equal logits.

    A change `left @ right` of rank r is the adapter A = leftᵀ, B = rightᵀ with scale 1. A whole matrix is the product
    of itself and the identity: exact, of rank d_out. Smaller ranks than the largest are filled up with zeros.

    Raises:
        ModelError: the edit changes no weights, or a bias, or adds neurons, or is a context or a memory.
    """
    if edit.neurons or edit.context or edit.router or not edit.deltas:
        held = edit.kind if edit.deltas or edit.neurons or edit.context or edit.router else "nothing"
        raise ModelError(f"{folder}: a LoRA adapter holds changes of weights; this edit holds {held}")
    biased = [delta.module for delta in edit.deltas if delta.bias is not None]
    if biased:
        raise ModelError(
            f"the edit changes the bias of {', '.join(biased)}, which a LoRA adapter cannot hold: save the edit itself "
            "or the whole edited model"
        )
    factors = {delta.module: _factors(delta) for delta in edit.deltas}
    rank = max(left.shape[1] for left, _ in factors.values())
    modules = [lm.arch.module_named(name) for name in factors]
    config = LoraConfig(
        r=rank,
        lora_alpha=rank,
        lora_dropout=0.0,
        target_modules=list(factors),
        fan_in_fan_out=all(Architecture.input_first(module) for module in modules),
        task_type="CAUSAL_LM",
        base_model_name_or_path=lm.name,
        inference_mode=True,
    )
    folder.mkdir(parents=True, exist_ok=True)
    config.save_pretrained(folder)
    tensors = {}
    for module, (left, right) in factors.items():
        missing = rank - left.shape[1]
        tensors[f"base_model.model.{module}.lora_A.weight"] = pad(left.T, (0, 0, 0, missing)).contiguous()
        tensors[f"base_model.model.{module}.lora_B.weight"] = pad(right.T, (0, missing)).contiguous()
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})


def _factors(delta: WeightDelta) -> tuple[Float[Tensor, "d_in rank"], Float[Tensor, "rank d_out"]]:
    if delta.left is not None:
        return delta.left.float(), delta.right.float()
    return delta.dense.float(), torch.eye(delta.dense.shape[1], device=delta.dense.device)
