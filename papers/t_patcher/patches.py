"""Patches: the neurons of all mended mistakes, in the order of the edits."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors import safe_open
from torch import Tensor

from shared.errors import DataError
from shared.records import read_tensors, write_tensors

Activation = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Patches:
    """Neurons with the mistake that each was made for.

    Attributes:
        key, bias: what each neuron responds to; its pre-activation is x·key + bias.
        value: what each neuron adds to the layer's output.
        owner: number of the mended example, per neuron.
    """

    key: Float[Tensor, "patch d_model"]
    bias: Float[Tensor, " patch"]
    value: Float[Tensor, "patch d_model"]
    owner: tuple[int, ...]

    @classmethod
    def none(cls, d_model: int, device: torch.device | str = "cpu") -> "Patches":
        """Return no patch."""
        empty = torch.zeros(0, d_model, device=device)
        return cls(empty, torch.zeros(0, device=device), empty, ())

    def __len__(self) -> int:
        return len(self.owner)

    def added(self, others: Iterable["Patches"]) -> "Patches":
        """Return these patches and the others behind them."""
        every = [self, *others]
        parts = (torch.cat([getattr(one, name) for one in every]) for name in ("key", "bias", "value"))
        return Patches(*parts, tuple(owner for one in every for owner in one.owner))

    def without(self, owners: Sequence[int]) -> "Patches":
        """Return the patches of all other examples.

        Raises:
            DataError: an example has no patch.
        """
        if missing := sorted(set(owners) - set(self.owner)):
            raise DataError(f"no patch was made for {missing}; there are patches for {sorted(set(self.owner))}")
        kept = [index for index, owner in enumerate(self.owner) if owner not in set(owners)]
        return Patches(self.key[kept], self.bias[kept], self.value[kept], tuple(self.owner[index] for index in kept))

    def pre_activation(self, query: Float[Tensor, "pos d_model"]) -> Float[Tensor, "pos patch"]:
        """Return each neuron's pre-activation at each position."""
        return query @ self.key.T + self.bias

    def patched(
        self, query: Float[Tensor, "pos d_model"], summed: Float[Tensor, "pos d_model"], activation: Activation
    ) -> Float[Tensor, "pos d_model"]:
        """Return the sums of the patched model (Eq. 4). Without patches these are `summed` itself, bit for bit.

        Cost: 4·patches·d_model FLOP per position.
        """
        return summed + activation(self.pre_activation(query)) @ self.value if len(self) else summed

    def save(self, path: str | Path, **info: str) -> None:
        """Write the patches as one safetensors file, with further text about them."""
        tensors = {"key": self.key, "bias": self.bias, "value": self.value}
        write_tensors(path, tensors, {"owner": json.dumps(self.owner), **info})

    @classmethod
    def load(cls, path: str | Path) -> tuple["Patches", dict[str, str]]:
        """Return the patches of a file written by `save`, and the text that was written with them.

        Raises:
            DataError: the file is absent, damaged or holds something else.
        """
        tensors = read_tensors(path)
        with safe_open(path, framework="pt") as file:
            info = dict(file.metadata() or {})
        if set(tensors) != {"key", "bias", "value"} or "owner" not in info:
            raise DataError(f"{path}: holds {sorted(tensors)}, expected key, bias and value of patches")
        owner = tuple(json.loads(info.pop("owner")))
        return cls(tensors["key"], tensors["bias"], tensors["value"], owner), info
