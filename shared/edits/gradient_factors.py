"""The gradient of a linear map's weight as the outer products that it is a sum of.

For z = W u the gradient of a loss is the sum over tokens of δ uᵀ with δ = ∂L/∂z (Mitchell et al. 2022, §3.1). One
forward and backward pass gives u and δ of any number of maps and of many independent losses at once; no whole matrix
is ever made.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from shared.errors import ModelError, NumericalError


@dataclass(frozen=True)
class FactorRows:
    """Rows u, δ of one module, those that are all zero left out.

    Attributes:
        u: inputs of the module.
        delta: gradients with respect to its outputs.
        group: which edit each row belongs to, in ascending order.
        slot: place of the row within its edit.
        n_groups: number of edits.
    """

    u: Float[Tensor, "row d_in"]
    delta: Float[Tensor, "row d_out"]
    group: Int[Tensor, " row"]
    slot: Int[Tensor, " row"]
    n_groups: int

    @property
    def rank(self) -> int:
        """Most rows of one edit."""
        return int(self.slot.max()) + 1 if len(self.slot) else 1

    def padded(self, rows: Float[Tensor, "row width"]) -> Float[Tensor, "group slot width"]:
        """Return rows by edit, the shorter edits padded with zeros; differentiable."""
        table = rows.new_zeros(self.n_groups, self.rank, rows.shape[1])
        return table.index_put((self.group, self.slot), rows)


@contextmanager
def _probed(modules: Mapping[str, nn.Module]) -> Iterator[tuple[dict[str, Tensor], dict[str, Tensor]]]:
    """Collect each module's input, and a zero added to its output whose gradient is the output's."""
    inputs: dict[str, Tensor] = {}
    probes: dict[str, Tensor] = {}

    def hook_for(name: str) -> Callable:
        def hook(_module: nn.Module, args: tuple, output: Tensor) -> Tensor:
            if name in inputs:
                raise ModelError(f"{name} runs twice in one forward pass; its gradient factors would be mixed up")
            inputs[name] = args[0]
            probes[name] = torch.zeros_like(output, requires_grad=True)
            return output + probes[name]

        return hook

    with ExitStack() as stack:
        for name, module in modules.items():
            stack.callback(module.register_forward_hook(hook_for(name)).remove)
        yield inputs, probes


def token_factors(
    modules: Mapping[str, nn.Module], loss: Callable[[], Tensor], *, create_graph: bool = False
) -> dict[str, tuple[Float[Tensor, "row pos d_in"], Float[Tensor, "row pos d_out"]]]:
    """Return u and δ of each module for every token, from one forward and one backward pass of `loss`.

    Args:
        modules: name → linear map.
        loss: runs the model and returns a scalar; a sum of independent losses gives each row its own loss's gradient.
        create_graph: keep u and δ differentiable (second-order methods); else they are detached.

    Raises:
        NumericalError: the loss or a gradient is not finite.
        ModelError: a module runs twice, or not at all.

    Cost: the backward pass ends at the lowest of the modules if no parameter of the model requires a gradient.
    """
    with torch.enable_grad(), _probed(modules) as (inputs, probes):
        value = loss()
        missing = sorted(set(modules) - set(probes))
        if missing:
            raise ModelError(f"{', '.join(missing)}: not run in the forward pass, so there is no gradient to capture")
        gradients = torch.autograd.grad(value, list(probes.values()), create_graph=create_graph)
    found = {}
    for (name, u), delta in zip(inputs.items(), gradients, strict=True):
        if not torch.isfinite(delta).all():
            raise NumericalError(f"{name}: the gradient of an edit is not finite (loss {float(value.detach()):.3g})")
        found[name] = (u, delta) if create_graph else (u.detach(), delta.detach())
    return {name: found[name] for name in modules}


def factor_rows(
    u: Float[Tensor, "row pos d_in"],
    delta: Float[Tensor, "row pos d_out"],
    group: Int[Tensor, " row"],
    n_groups: int,
) -> FactorRows:
    """Flatten tokens to rows by edit, and drop those where u or δ is all zero (padding, tokens without influence).

    Args:
        group: which edit each row of the batch belongs to, in ascending order.
    """
    kept = (u.detach() != 0).any(-1) & (delta.detach() != 0).any(-1)
    of_row = group[:, None].expand(kept.shape)[kept]
    counts = torch.bincount(of_row, minlength=n_groups)
    starts = counts.cumsum(0) - counts
    slot = torch.arange(len(of_row), device=of_row.device) - starts[of_row]
    wide = torch.promote_types(u.dtype, torch.float32)  # half-precision factors are transformed in float32
    return FactorRows(u[kept].to(wide), delta[kept].to(wide), of_row, slot, n_groups)
