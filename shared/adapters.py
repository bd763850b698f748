"""Edits on disk: as safetensors for this project, as LoRA adapters for everyone else."""

import json
from pathlib import Path

import torch
from peft import LoraConfig
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from shared.deltas import Edit, WeightDelta
from shared.errors import DataError, ModelError
from shared.models import LM, Architecture

_FIELDS = ("left", "right", "dense", "bias")


def save_edit(edit: Edit, path: Path) -> None:
    """Write the factors, dense changes and bias changes of an edit to one safetensors file.

    Raises:
        ModelError: the edit adds neurons, which are no change of weights.
    """
    if edit.neurons:
        raise ModelError(f"{path}: the edit adds neurons to {edit.neurons[0].down}; such a file holds weight changes")
    tensors = {
        f"{delta.module}:{name}": value.contiguous()
        for delta in edit.deltas
        for name in _FIELDS
        if (value := getattr(delta, name)) is not None
    }
    partial = path.with_name(path.name + ".part")
    save_file(tensors, partial, metadata={"kind": edit.kind, "info": json.dumps(edit.info)})
    partial.replace(path)


def load_edit(path: Path) -> Edit:
    """Read an edit written by `save_edit`.

    Raises:
        DataError: the file is not a readable safetensors file or holds something else.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a mapping)
    except (SafetensorError, OSError) as error:
        raise DataError(f"{path}: cannot read an edit: {error}; write it again with save_edit") from error
    fields: dict[str, dict[str, torch.Tensor]] = {}
    for key, value in tensors.items():
        module, _, name = key.rpartition(":")
        if name not in _FIELDS:
            raise DataError(f"{path}: unexpected tensor {key!r}; expected MODULE:{'|'.join(_FIELDS)}")
        fields.setdefault(module, {})[name] = value
    deltas = tuple(WeightDelta(module, **parts) for module, parts in fields.items())
    return Edit(deltas, json.loads(metadata.get("info", "{}")), metadata.get("kind", "weights"))


def save_lora(lm: LM, edit: Edit, folder: Path) -> None:
    """Write a weight edit as a LoRA adapter that `peft` loads on the unedited model with equal logits.

    A change `left @ right` of rank r is the adapter A = leftᵀ, B = rightᵀ with scale 1. Dense changes are refused
    rather than truncated.

    Raises:
        ModelError: the edit has a dense part, a bias change, or modules of different rank.
    """
    for delta in edit.deltas:
        if delta.left is None or delta.bias is not None:
            raise ModelError(
                f"the edit of {delta.module} is not low-rank without a bias change; a LoRA adapter cannot hold it: "
                "save the edit itself or the whole edited model"
            )
    ranks = {delta.left.shape[1] for delta in edit.deltas}
    if len(ranks) != 1:
        raise ModelError(f"the edit has modules of ranks {sorted(ranks)}, expected one rank for all")
    names = [delta.module for delta in edit.deltas]
    modules = [lm.arch.module_named(name) for name in names]
    config = LoraConfig(
        r=ranks.pop(),
        lora_alpha=edit.deltas[0].left.shape[1],
        lora_dropout=0.0,
        target_modules=names,
        fan_in_fan_out=all(Architecture.input_first(module) for module in modules),
        task_type="CAUSAL_LM",
        base_model_name_or_path=lm.name,
        inference_mode=True,
    )
    folder.mkdir(parents=True, exist_ok=True)
    config.save_pretrained(folder)
    tensors = {}
    for delta in edit.deltas:
        tensors[f"base_model.model.{delta.module}.lora_A.weight"] = delta.left.T.contiguous()
        tensors[f"base_model.model.{delta.module}.lora_B.weight"] = delta.right.T.contiguous()
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
