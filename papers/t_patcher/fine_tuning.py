"""The baselines that move weights: fine-tuning on each mistake in turn, with or without a divergence (§5.1).

FT(last) moves the weight matrices of the last block, FT(all) every parameter, by Adam until the answer is right. With
KL, the divergence from the unedited model on remembered examples joins the loss.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from papers.t_patcher.losses import divergence
from papers.t_patcher.problem import Problem
from papers.t_patcher.settings import known_only
from papers.t_patcher.whole_model import WholeModelStreams
from shared.errors import ConfigError, NumericalError
from shared.inference.text_batches import IGNORED, TextRow, answered, collate, predictions, token_nll
from shared.seeding import seed_for

LAST, ALL = PARTS = ("last", "all")


@dataclass(frozen=True)
class TuningSettings:
    """How weights are moved.

    Attributes:
        part: `last`: the weight matrices of the last block; `all`: every parameter.
        lr: of Adam, which begins anew with every mistake.
        max_steps: updates of one mistake at most.
        kl_samples: remembered examples that the divergence is taken over; 0 leaves it out.
        kl_weight: its factor.
        kl_rows: of the samples, how many are drawn for each update; None takes all, as the authors do.
    """

    part: str = ALL
    lr: float | int = 1e-5
    max_steps: int = 2000
    kl_samples: int = 0
    kl_weight: float | int = 1.0
    kl_rows: int | None = None

    def __post_init__(self) -> None:
        if self.part not in PARTS:
            raise ConfigError(f"fine-tuning: part is {self.part!r}, expected one of {', '.join(PARTS)}")
        if not self.lr > 0 or self.max_steps < 1 or self.kl_samples < 0:
            raise ConfigError(
                f"fine-tuning: lr {self.lr}, max_steps {self.max_steps}, kl_samples {self.kl_samples}; expected a "
                "positive rate, at least one update, and zero or more samples"
            )

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> "TuningSettings":
        """Return settings from a mapping, such as a config's; an unknown name is a ConfigError."""
        return known_only(cls, given)


class Tuning(WholeModelStreams):
    """Streams of mistakes, mended one stream after another by moving the model's weights.

    Args:
        problem, orders, seed: as `Editing` takes them; the seed draws the divergence's examples.
        settings: of the fine-tuning.
    """

    def __init__(
        self, problem: Problem, orders: Sequence[Sequence[int]], settings: TuningSettings | None = None, seed: int = 0
    ):
        super().__init__(problem, orders, seed)
        self.settings = settings or TuningSettings()

    def weights(self) -> list[Tensor]:
        """Return the weights that are moved."""
        if self.settings.part == ALL:
            return list(self.lm.model.parameters())
        block = self.problem.layer.stack.block(self.problem.layer.layer)
        return [weight for name, weight in block.named_parameters() if weight.dim() > 1 and "bias" not in name]

    def mend_one(self, row: TextRow, example: int) -> int:
        """Move the weights until the row is answered right, and return the number of updates.

        Cost: per update one forward and backward pass, over the mistake and the divergence's rows.
        """
        settings, moved = self.settings, self.weights()
        for weight in moved:
            weight.requires_grad_(True)
        optimiser = torch.optim.Adam(moved, lr=settings.lr)
        batch = collate(self.lm, [row])
        for step in range(settings.max_steps):
            with torch.enable_grad():
                logits = predictions(self.lm, batch)
                if bool(answered(logits.detach(), batch).all()):
                    return step
                loss = token_nll(logits, batch).sum() / len(row.target)
                if settings.kl_samples:
                    loss = loss + settings.kl_weight * self._kept_divergence(example, step)
                if not torch.isfinite(loss):
                    raise NumericalError(
                        f"fine-tuning on example {example}: the loss became {float(loss)}; lower lr ({settings.lr})"
                    )
                optimiser.zero_grad()
                loss.backward()
            optimiser.step()
        return settings.max_steps

    def _kept_divergence(self, example: int, step: int) -> Float[Tensor, ""]:
        """Return the mean divergence from the unedited model at the answers of remembered examples."""
        problem, settings = self.problem, self.settings
        count = min(settings.kl_samples, problem.remembered.n_rows)
        chosen = list(range(count))
        if settings.kl_rows is not None and settings.kl_rows < count:
            generator = torch.Generator().manual_seed(seed_for("t_patcher", "kl", self.seed, example, step))
            chosen = torch.randperm(count, generator=generator)[: settings.kl_rows].tolist()
        before = problem.remembered.of_rows(chosen)
        batch = collate(self.lm, [problem.remembered_rows[row] for row in chosen])
        logits = predictions(self.lm, batch)
        rows, places = (batch.labels != IGNORED).nonzero(as_tuple=True)
        after = logits[rows, places]
        with torch.no_grad():
            unedited = problem.layer.logits(before.summed)
        return divergence(unedited[None], after[None], problem.layer.binary).mean()
