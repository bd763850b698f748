"""Fine-tuning on each edit: FT, and FT + KL, which also sees statements that shall stay (MEND, §4 and App. B).

RMSprop moves copies of the edited matrices until the edit's answer is the most probable one. Edits are tuned side by
side, each on its own copy, and leave when they are done.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool
from torch import Tensor

from shared.edits.factor_edits import Dense, edited_rows
from shared.errors import ConfigError, NumericalError
from shared.inference.text_batches import answered, divergence, predictions
from shared.learning.edit_pools import Pool, Rows
from shared.learning.edit_success import WeightMethod
from shared.learning.learned_editors import (
    Edits,
    group_divergences,
    group_losses,
    linear_maps,
    map_shape,
    register_direct,
)
from shared.model.models import LM
from shared.seeding import seed_for

DECAY, EPSILON = 0.99, 1e-8


@dataclass(frozen=True)
class FineTuningSettings:
    """How weights are moved.

    Attributes:
        lr: of RMSprop, whose first step moves every weight by ten times as much.
        steps: updates at most.
        clip: largest norm of an edit's gradient.
        edit_weight: factor of the edit's loss where locality is seen (1 without).
        locality: add the divergence on one fresh statement per step (FT + KL).
        seed: which statements are drawn.
        together: edits tuned side by side; memory is three copies of the edited matrices for each.
    """

    lr: float | int = 5e-6
    steps: int = 100
    clip: float | int = 100.0
    edit_weight: float | int = 1e-2
    locality: bool = False
    seed: int = 0
    together: int = 16

    def __post_init__(self) -> None:
        if not self.lr > 0 or self.steps < 1 or self.together < 1:
            raise ConfigError(
                f"fine-tuning: lr {self.lr}, steps {self.steps}, together {self.together}; all must be above 0"
            )


class FineTuning(WeightMethod):
    """FT and FT + KL.

    Args:
        lm: the base model.
        modules: names of the tuned matrices.
        pool: training examples, whose statements FT + KL draws from; FT needs none.
        settings: fields of `FineTuningSettings`.
    """

    def __init__(self, lm: LM, modules: Sequence[str], pool: Pool | None, **settings):
        self.modules, self.pool, self.settings = tuple(modules), pool, FineTuningSettings(**settings)
        if self.settings.locality and pool is None:
            raise ConfigError("fine-tuning with locality needs a pool of statements that shall stay")

    def prepare(self, lm: LM, edits: Edits) -> dict[str, Dense]:
        """Return the changes of all edits."""
        step = self.settings.together
        parts = [
            self._tuned(lm, edits, start, min(start + step, edits.n_groups)) for start in range(0, edits.n_groups, step)
        ]
        return {name: Dense(torch.cat([part[name] for part in parts])) for name in self.modules}

    def _tuned(self, lm: LM, edits: Edits, start: int, stop: int) -> dict[str, Tensor]:
        rows = ((edits.group >= start) & (edits.group < stop)).nonzero()[:, 0]
        own = Rows(edits.batch.select(rows), edits.group[rows] - start)
        shapes = {name: map_shape(module) for name, module in linear_maps(lm.model, self.modules).items()}
        change = {name: torch.zeros(stop - start, *shape, device=lm.device) for name, shape in shapes.items()}
        squares = {name: torch.zeros_like(value) for name, value in change.items()}
        with torch.enable_grad():
            for step in range(self.settings.steps):
                for value in change.values():
                    value.requires_grad_()
                loss, done = self._loss(lm, change, own, stop - start, start, step)
                if done.all():
                    break
                gradients = torch.autograd.grad(loss, list(change.values()))
                change = self._moved(change, squares, gradients, ~done)
        return {name: value.detach() for name, value in change.items()}

    def _loss(
        self, lm: LM, change: dict[str, Tensor], rows: Rows, count: int, start: int, step: int
    ) -> tuple[Tensor, Bool[Tensor, " edit"]]:
        """Return the summed loss of all edits, and which of them are answered right already."""
        changes = {name: Dense(value) for name, value in change.items()}
        with edited_rows(lm.model, changes, rows.group):
            logits = predictions(lm, rows.batch)
        loss = group_losses(logits, rows.batch, rows.group, count)
        wrong = (~answered(logits.detach(), rows.batch)).float()
        done = torch.zeros(count, device=loss.device).index_add(0, rows.group, wrong) == 0
        if not torch.isfinite(loss).all():
            raise NumericalError(
                f"fine-tuning: a loss became {float(loss.detach().max())}; lower lr ({self.settings.lr})"
            )
        if not self.settings.locality:
            return loss.sum(), done
        rng = random.Random(seed_for("fine-tuning", self.settings.seed, start, step))
        seen = Rows.of(lm, [[rng.choice(self.pool.anchors)] for _ in range(count)])
        with torch.no_grad():
            before = predictions(lm, seen.batch)
        with edited_rows(lm.model, changes, seen.group):
            kept = divergence(before, predictions(lm, seen.batch), seen.batch)
        return (self.settings.edit_weight * loss + group_divergences(kept, seen.batch, seen.group, count)).sum(), done

    @torch.no_grad()
    def _moved(
        self,
        change: dict[str, Tensor],
        squares: dict[str, Tensor],
        gradients: Sequence[Tensor],
        active: Bool[Tensor, " edit"],
    ) -> dict[str, Tensor]:
        """Return the changes after one step of RMSprop for the edits that are still active."""
        norm = torch.stack([gradient.flatten(1).norm(dim=1) for gradient in gradients]).norm(dim=0)
        scale = (self.settings.clip / (norm + 1e-6)).clamp(max=1.0) * active
        moved = {}
        for (name, value), gradient in zip(change.items(), gradients, strict=True):
            clipped = gradient * scale[:, None, None]
            squares[name].mul_(DECAY).addcmul_(clipped, clipped, value=1 - DECAY)
            moved[name] = value.detach() - self.settings.lr * clipped / (squares[name].sqrt() + EPSILON)
        return moved


register_direct("ft", FineTuning)
