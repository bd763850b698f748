"""Neurons added to a feed-forward layer: edits that leave every weight as it is.

Transformer-Patcher (Huang et al. 2023, arXiv:2301.09785v1, Eq. 4) widens a layer by neurons with a key, a bias and a
value: FFN'(x) = FFN(x) + act(x·keyᵀ + bias)·value. Here the term is added where the layer's output leaves it, so that
taking the neurons away is taking a hook away.
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from shared.errors import ModelError, NumericalError


@dataclass(frozen=True)
class AddedNeurons:
    """Neurons beside those of one feed-forward layer.

    Attributes:
        up, down: dotted names of the layer's projections; the neurons read the input of the first and add to the output
            of the second.
        activation: dotted name of the layer's activation module.
        key: what each neuron responds to.
        bias: added to each neuron's input.
        value: what each neuron writes.
    """

    up: str
    down: str
    activation: str
    key: Float[Tensor, "neuron d_in"]
    bias: Float[Tensor, " neuron"]
    value: Float[Tensor, "neuron d_out"]

    def __post_init__(self) -> None:
        if not len(self.key) == len(self.bias) == len(self.value):
            raise ValueError(
                f"neurons added to {self.down}: {len(self.key)} keys, {len(self.bias)} biases, {len(self.value)} values"
            )
        for name in ("key", "bias", "value"):
            if not torch.isfinite(getattr(self, name)).all():
                raise NumericalError(f"neurons added to {self.down}: {name} holds NaN or infinity; the edit diverged")

    def joined(self, other: "AddedNeurons") -> "AddedNeurons":
        """Return both groups of neurons of one layer as one."""
        if (self.up, self.down, self.activation) != (other.up, other.down, other.activation):
            raise ValueError(f"neurons of {self.down} and of {other.down} cannot be joined: they sit in two layers")
        parts = [torch.cat([getattr(self, name), getattr(other, name)]) for name in ("key", "bias", "value")]
        return AddedNeurons(self.up, self.down, self.activation, *parts)


def attach(
    stack: ExitStack,
    model: nn.Module,
    neurons: Sequence[AddedNeurons | None],
    edit_of_row: Callable[[int], Int[Tensor, " row"] | None],
) -> None:
    """Add neurons to one layer of `model` until `stack` closes.

    Args:
        neurons: by edit; None for an edit that adds none here. All others sit in the same layer.
        edit_of_row: called with the number of rows of a batch, for the edit of each row (one past the last for none);
            None if all rows carry edit 0.

    Raises:
        ModelError: the model has no such layer, or one of another width.
    """
    first = next(group for group in neurons if group is not None)
    try:
        up, down, activation = (model.get_submodule(name) for name in (first.up, first.down, first.activation))
    except AttributeError as error:
        raise ModelError(f"neurons added to {first.down}: {error}; were they made for another model?") from error
    key, bias, value = _stacked(neurons, next(down.parameters()))
    inputs: list[Tensor] = []

    def keep(_module: nn.Module, args: tuple) -> None:
        inputs[:] = [args[0]]

    def add(_module: nn.Module, _args: tuple, output: Tensor) -> Tensor:
        [x] = inputs
        if x.shape[-1] != key.shape[-1] or output.shape[-1] != value.shape[-1]:
            raise ModelError(f"neurons of width {key.shape[-1]} cannot join {first.down}, which reads {x.shape[-1]}")
        rows = edit_of_row(len(output))
        if rows is None:
            return output + activation(x @ key[0].T + bias[0]) @ value[0]
        shape = (len(rows), -1, key.shape[-1])
        term = activation(torch.bmm(x.reshape(shape), key[rows].mT) + bias[rows][:, None])
        return output + torch.bmm(term, value[rows]).reshape(output.shape)

    stack.callback(up.register_forward_pre_hook(keep).remove)
    stack.callback(down.register_forward_hook(add).remove)


def _stacked(neurons: Sequence[AddedNeurons | None], like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return keys, biases and values by edit, with a last edit that adds nothing; missing neurons write zero."""
    present = [group for group in neurons if group is not None]
    most = max(len(group.key) for group in present)
    key = like.new_zeros(len(neurons) + 1, most, present[0].key.shape[1])
    bias = like.new_zeros(len(neurons) + 1, most)
    value = like.new_zeros(len(neurons) + 1, most, present[0].value.shape[1])
    for index, group in enumerate(neurons):
        if group is not None:
            count = len(group.key)
            key[index, :count], bias[index, :count], value[index, :count] = group.key, group.bias, group.value
    return key, bias, value
