"""Editable networks in the form that MEND compares with: a model trained so that one gradient step edits it well.

Sinitsin et al. (2020) train the base model itself, so that a step along the plain gradient, with a learned rate per
matrix, writes an edit. The outer gradient runs through the step (second order).
"""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from shared.edits.factor_edits import Changes, LowRank
from shared.edits.gradient_factors import factor_rows, token_factors
from shared.inference.text_batches import predictions
from shared.learning.learned_editors import Edits, LearnedEditor, group_losses, linear_maps, register_learned
from shared.model.models import LM


class EditableNetwork(LearnedEditor):
    """W' = W − α_ℓ ∇_W L of a trained copy of the base model; model and α are the parameters.

    Args:
        rate: initial α.
        rate_lr: learning rate of α, None for that of the model (the authors' code, where the optimiser meant for α
            never moves it).
        second_order: let the outer gradient run through the inner one; else the step counts as a constant.
    """

    method = "enn"

    def __init__(
        self,
        lm: LM,
        modules: Sequence[str],
        *,
        rate: float | int = 1e-2,
        rate_lr: float | int | None = None,
        second_order: bool = True,
    ):
        super().__init__(modules, {"rate": rate, "rate_lr": rate_lr, "second_order": second_order})
        self.second_order, self.rate_lr = second_order, rate_lr
        self.copied = LM(copy.deepcopy(lm.model), lm.tokenizer, f"{lm.name} as an editable network")
        self.network: nn.Module = self.copied.model.requires_grad_(True)
        self.rates = nn.Parameter(torch.full((len(linear_maps(lm.model, modules)),), float(rate)))

    def host(self, lm: LM) -> LM:
        """Return the trained copy, which is what edits are made of."""
        return self.copied

    def changes(self, lm: LM, edits: Edits, *, training: bool = False) -> Changes:
        """Return −α ∇_W L of every edit, differentiable in the model and α."""

        def loss() -> torch.Tensor:
            logits = predictions(self.copied, edits.batch)
            return group_losses(logits, edits.batch, edits.group, edits.n_groups).sum()

        through = self.second_order and torch.is_grad_enabled()
        with sdpa_kernel(SDPBackend.MATH):  # the fused kernels have no second derivative
            captured = token_factors(linear_maps(self.network, self.modules_edited), loss, create_graph=through)
        changes = {}
        for name, rate in zip(self.modules_edited, self.rates, strict=True):
            rows = factor_rows(*captured[name], edits.group, edits.n_groups)
            changes[name] = LowRank(rows.padded(rows.u), rows.padded(rows.delta) * -rate)
        return changes

    def optimiser_groups(self, lr: float | int) -> list[dict[str, Any]]:
        """Return model and rates as groups, each with its learning rate."""
        rate_lr = lr if self.rate_lr is None else self.rate_lr
        return [{"params": list(self.network.parameters()), "lr": lr}, {"params": [self.rates], "lr": rate_lr}]

    def logged(self) -> dict[str, float]:
        """Return the learned rates."""
        return {f"rate {name}": rate for name, rate in zip(self.modules_edited, self.rates.tolist(), strict=True)}


register_learned("enn", EditableNetwork)
