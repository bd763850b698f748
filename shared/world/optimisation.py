"""What every training run from scratch shares: number format, optimisers, their rates, and one guarded step."""

import functools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from shared.errors import NumericalError


@functools.cache
def product_format() -> torch.dtype:
    """Return the number format of training's matrix products: bfloat16 if the processor has instructions for it.

    Without them each bfloat16 product is several times slower than one of float32.
    """
    able = torch.cpu.get_capabilities()
    native = any(able.get(feature) for feature in ("amx_bf16", "avx512_bf16", "bf16"))
    return torch.bfloat16 if native else torch.float32


def mixed_precision() -> torch.autocast:
    """Return a context whose matrix products are made in `product_format()`; weights stay float32."""
    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=product_format() is torch.bfloat16)


class FloatMuon(torch.optim.Muon):
    """Muon in float32, with the matrices of one shape in one batch of products.

    torch's takes one matrix after another, always in bfloat16; the steps are the same up to rounding.

    Cost: for each matrix of (m, n), m ≤ n, 5 · (4m²n + 2m³) FLOP.
    """

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        """Take one step for every matrix that has a gradient."""
        for group in self.param_groups:
            moving = [matrix for matrix in group["params"] if matrix.grad is not None]
            for shape in dict.fromkeys(matrix.shape for matrix in moving):
                self._move([matrix for matrix in moving if matrix.shape == shape], group)

    def _move(self, matrices: Sequence[Tensor], group: Mapping[str, Any]) -> None:
        ahead = []
        for matrix in matrices:
            state = self.state[matrix]
            if "momentum_buffer" not in state:
                state["momentum_buffer"] = torch.zeros_like(matrix)
            state["momentum_buffer"].lerp_(matrix.grad, 1 - group["momentum"])
            ahead.append(matrix.grad.lerp(state["momentum_buffer"], group["momentum"]))
        directions = orthogonalised(torch.stack(ahead), group["ns_coefficients"], group["ns_steps"])
        rows, columns = matrices[0].shape
        rate = group["lr"] * math.sqrt(max(1, rows / columns))
        for matrix, direction in zip(matrices, directions, strict=True):
            matrix.mul_(1 - group["lr"] * group["weight_decay"]).add_(direction, alpha=-rate)


def orthogonalised(
    matrices: Float[Tensor, "matrix row column"], coefficients: tuple[float, float, float], steps: int
) -> Float[Tensor, "matrix row column"]:
    """Return each matrix with its singular values near 1, by a quintic Newton-Schulz iteration."""
    a, b, c = coefficients
    wide = matrices if matrices.shape[1] <= matrices.shape[2] else matrices.mT
    found = wide / wide.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    for _ in range(steps):
        gram = found @ found.mT
        found = torch.baddbmm(found, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), found, beta=a)
    return found if wide is matrices else found.mT


def make_optimisers(
    matrices: Sequence[nn.Parameter],
    others: Sequence[nn.Parameter],
    *,
    muon_rate: float,
    adam_rate: float,
    weight_decay: float,
) -> list[torch.optim.Optimizer]:
    """Return Muon for the blocks' matrices and AdamW for all other parameters; each group keeps its base rate."""
    muon = torch.optim.Muon if product_format() is torch.bfloat16 else FloatMuon
    optimisers: list[torch.optim.Optimizer] = [
        muon(matrices, lr=muon_rate, weight_decay=weight_decay, momentum=0.95),
        torch.optim.AdamW(others, lr=adam_rate, betas=(0.9, 0.98), weight_decay=0.0),
    ]
    for optimiser in optimisers:
        for group in optimiser.param_groups:
            group["base_rate"] = group["lr"]
    return optimisers


def set_rates(optimisers: Iterable[torch.optim.Optimizer], factor: float) -> None:
    """Set each group's learning rate to `factor` times its base rate."""
    for optimiser in optimisers:
        for group in optimiser.param_groups:
            group["lr"] = factor * group["base_rate"]


def rate_factor(done: int, steps: int, warmup: int, scale: float = 1.0) -> float:
    """Return the factor on the base rates after `done` of `steps` steps: linear warm-up, then linear decay to 2 %.

    All of it is multiplied by `scale`.
    """
    return scale * min(1.0, (done + 1) / warmup) * max(0.02, 1.0 - done / steps)


def take_step(
    loss: Tensor, parameters: Iterable[nn.Parameter], optimisers: Iterable[torch.optim.Optimizer], step: int
) -> float:
    """Take one optimiser step down a scalar loss, with gradients clipped to norm 1, and return the loss.

    Raises:
        NumericalError: if the loss is not finite.
    """
    if not torch.isfinite(loss):
        raise NumericalError(f"training step {step}: the loss is {loss.item()}; lower the recipe's learning rates")
    loss.backward()
    torch.nn.utils.clip_grad_norm_(parameters, 1.0)
    for optimiser in optimisers:
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
    return loss.item()
