"""What every training run from scratch shares: the optimisers, their rates, and one guarded step."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from shared.errors import NumericalError


def make_optimisers(
    matrices: Sequence[nn.Parameter],
    others: Sequence[nn.Parameter],
    *,
    muon_rate: float,
    adam_rate: float,
    weight_decay: float,
) -> list[torch.optim.Optimizer]:
    """Return Muon for the blocks' matrices and AdamW for all other parameters; each group keeps its base rate."""
    optimisers: list[torch.optim.Optimizer] = [
        torch.optim.Muon(matrices, lr=muon_rate, weight_decay=weight_decay, momentum=0.95),
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
