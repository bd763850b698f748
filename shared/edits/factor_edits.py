"""Differentiable weight changes carried one per row of a batch, so that many edits share one forward pass.

A change of rank r is held as its factors, y = xW + (x·left)·right, which are never multiplied out.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from shared.edits.deltas import Edit, WeightDelta


@dataclass(frozen=True)
class LowRank:
    """Changes of one module, one per edit: the sum over ranks of left ⊗ right, in (d_in, d_out) orientation."""

    left: Float[Tensor, "edit rank d_in"]
    right: Float[Tensor, "edit rank d_out"]

    def added(self, x: Float[Tensor, "row pos d_in"], edit: Int[Tensor, " row"]) -> Float[Tensor, "row pos d_out"]:
        """Return what each row's edit adds to the module's output."""
        x = x.to(self.left.dtype)
        return torch.bmm(torch.bmm(x, self.left[edit].transpose(1, 2)), self.right[edit])

    def delta(self, name: str, edit: int) -> WeightDelta:
        """Return one edit's change, detached, without its padding."""
        used = (self.left[edit] != 0).any(-1) & (self.right[edit] != 0).any(-1)
        left, right = self.left[edit][used].detach(), self.right[edit][used].detach()
        return WeightDelta(name, left=left.T.contiguous(), right=right.contiguous())


@dataclass(frozen=True)
class Dense:
    """Whole changes of one module, one per edit, in (d_in, d_out) orientation."""

    matrix: Float[Tensor, "edit d_in d_out"]

    def added(self, x: Float[Tensor, "row pos d_in"], edit: Int[Tensor, " row"]) -> Float[Tensor, "row pos d_out"]:
        """Return what each row's edit adds to the module's output."""
        if len(edit) % len(self.matrix) == 0:
            each = len(edit) // len(self.matrix)
            order = torch.arange(len(self.matrix), device=edit.device).repeat_interleave(each)
            if torch.equal(order, edit):  # rows stand by edit, so no matrix has to be copied per row
                y = torch.bmm(x.reshape(len(self.matrix), -1, x.shape[-1]), self.matrix)
                return y.reshape(*x.shape[:-1], -1)
        return torch.bmm(x, self.matrix[edit])

    def delta(self, name: str, edit: int) -> WeightDelta:
        """Return one edit's change, detached."""
        return WeightDelta(name, dense=self.matrix[edit].detach())


Changes = Mapping[str, LowRank | Dense]


def edit_of(changes: Changes, edit: int, info: Mapping[str, float | int | str] | None = None) -> Edit:
    """Return one of the edits in the form that all papers share."""
    return Edit(tuple(change.delta(name, edit) for name, change in changes.items()), dict(info or {}))


@contextmanager
def edited_rows(model: nn.Module, changes: Changes, edit: Int[Tensor, " row"]) -> Iterator[None]:
    """Let each row of the forward passes inside carry one of the edits; gradients flow into the changes.

    Args:
        edit: index of each row's edit.
    """

    def hook_for(change: LowRank | Dense) -> Callable:
        def hook(_module: nn.Module, args: tuple, output: Tensor) -> Tensor:
            if len(output) != len(edit):
                raise ValueError(f"edits are given for {len(edit)} rows, the batch has {len(output)}")
            return output + change.added(args[0], edit).to(output.dtype)

        return hook

    with ExitStack() as stack:
        for name, change in changes.items():
            stack.callback(model.get_submodule(name).register_forward_hook(hook_for(change)).remove)
        yield
