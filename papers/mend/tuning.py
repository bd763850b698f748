"""Fine-tuning on each edit: FT, and FT + KL, which also sees statements that shall stay (MEND, §4 and App. B).

RMSprop moves copies of the edited matrices until the edit's answer is the most probable one. Edits are tuned side by
side, each on its own copy, and leave when they are done.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from shared.edits.factor_edits import Dense, edited_rows
from shared.errors import ConfigError, NumericalError
from shared.inference.text_batches import TextRow, answered, divergence, predictions
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
from shared.learning.unedited_trunk import UneditedTrunk
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
        """Return the changes of edits `start` to `stop`; those that are answered right leave the batch."""
        shapes = {name: map_shape(module) for name, module in linear_maps(lm.model, self.modules).items()}
        final = {name: torch.zeros(stop - start, *shape, device=lm.device) for name, shape in shapes.items()}
        squares = {name: torch.zeros_like(value) for name, value in final.items()}
        change = {name: value.clone() for name, value in final.items()}
        waiting = torch.arange(start, stop, device=lm.device)
        rows, trunk = _rows_of(edits, waiting), UneditedTrunk(lm.model, self.modules)
        with torch.enable_grad():
            for step in range(self.settings.steps):
                for value in change.values():
                    value.requires_grad_()
                loss, done = self._edit_loss(lm, change, rows, trunk)
                if self.settings.locality:
                    drawn = self._drawn(stop - start, start, step)
                    seen = Rows.of(lm, [[drawn[place]] for place in (waiting - start).tolist()])
                    loss = self.settings.edit_weight * loss + self._divergence(lm, change, seen)
                if done.all():
                    break
                gradients = dict(zip(change, torch.autograd.grad(loss, list(change.values())), strict=True))
                if done.any():
                    for name, value in change.items():
                        final[name][waiting[done] - start] = value.detach()[done]
                    change = {name: value.detach()[~done].requires_grad_() for name, value in change.items()}
                    squares, gradients = (
                        {name: value[~done] for name, value in part.items()} for part in (squares, gradients)
                    )
                    waiting = waiting[~done]
                    rows, trunk = _rows_of(edits, waiting), UneditedTrunk(lm.model, self.modules)
                self._move(change, squares, gradients)
        for name, value in change.items():
            final[name][waiting - start] = value.detach()
        return final

    def _edit_loss(
        self, lm: LM, change: dict[str, Tensor], rows: Rows, trunk: UneditedTrunk
    ) -> tuple[Tensor, Bool[Tensor, " edit"]]:
        """Return the summed loss of the edits, and which of them are answered right already."""
        count = len(next(iter(change.values())))
        with trunk.reused(), edited_rows(lm.model, _dense(change), rows.group):
            logits = predictions(lm, rows.batch)
        loss = group_losses(logits, rows.batch, rows.group, count)
        wrong = (~answered(logits.detach(), rows.batch)).float()
        done = torch.zeros(count, device=loss.device).index_add(0, rows.group, wrong) == 0
        if not torch.isfinite(loss).all():
            raise NumericalError(
                f"fine-tuning: a loss became {float(loss.detach().max())}; lower lr ({self.settings.lr})"
            )
        return loss.sum(), done

    def _drawn(self, count: int, start: int, step: int) -> list[TextRow]:
        """Return a fresh statement for each of `count` edits that are tuned side by side."""
        rng = random.Random(seed_for("fine-tuning", self.settings.seed, start, step))
        return [rng.choice(self.pool.anchors) for _ in range(count)]

    def _divergence(self, lm: LM, change: dict[str, Tensor], seen: Rows) -> Tensor:
        """Return the summed divergence on one statement per edit."""
        trunk = UneditedTrunk(lm.model, self.modules)
        with torch.no_grad(), trunk.recorded():
            before = predictions(lm, seen.batch)
        with trunk.replayed(), edited_rows(lm.model, _dense(change), seen.group):
            kept = divergence(before, predictions(lm, seen.batch), seen.batch)
        return group_divergences(kept, seen.batch, seen.group, len(seen.batch)).sum()

    @torch.no_grad()
    def _move(self, change: dict[str, Tensor], squares: dict[str, Tensor], gradients: dict[str, Tensor]) -> None:
        """Take one step of RMSprop, each edit's gradient clipped by its own norm."""
        norm = torch.stack([gradient.flatten(1).norm(dim=1) for gradient in gradients.values()]).norm(dim=0)
        scale = (self.settings.clip / (norm + 1e-6)).clamp(max=1.0)
        for name, value in change.items():
            clipped = gradients[name].mul_(scale[:, None, None])
            squares[name].mul_(DECAY).addcmul_(clipped, clipped, value=1 - DECAY)
            value.addcdiv_(clipped, squares[name].sqrt().add_(EPSILON), value=-self.settings.lr)


def _rows_of(edits: Edits, chosen: Int[Tensor, " edit"]) -> Rows:
    """Return the pairs of some of the edits, which are numbered anew."""
    place = torch.full((edits.n_groups,), -1, device=chosen.device)
    place[chosen] = torch.arange(len(chosen), device=chosen.device)
    rows = (place[edits.group] >= 0).nonzero()[:, 0]
    return Rows(edits.batch.select(rows), place[edits.group[rows]])


def _dense(change: dict[str, Tensor]) -> dict[str, Dense]:
    return {name: Dense(value) for name, value in change.items()}


register_direct("ft", FineTuning)
