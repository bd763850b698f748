"""What trainings share: the settings of a decoder's steps, the loop over steps, and the record of the run."""

import dataclasses
import logging
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from tqdm import tqdm
from transformers import PreTrainedModel

from shared.errors import ConfigError
from shared.world.factbook import FactBook
from shared.world.optimisation import product_format

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class StepRecipe:
    """The settings that each decoder's recipe has, whatever its documents are.

    Attributes:
        tokens: tokens per step.
        muon_rate: learning rate of the matrices.
        adam_rate: learning rate of everything else.
        weight_decay: decoupled weight decay of the matrices.
        warmup: steps of linear warm-up.
        stream_scale: factor on the finished model's residual stream, see `rescale_stream`. The editors' published step
            sizes are absolute; a small model's stream is so short that one step overshoots.
    """

    tokens: int = 1024
    muon_rate: float = 0.02
    adam_rate: float = 3e-3
    weight_decay: float = 0.01
    warmup: int = 30
    stream_scale: float = 2.5

    def require_rows(self, name: str, length: int, positions: int) -> None:
        """Check that rows of `length` tokens have something to predict and fit `positions` and a step.

        Raises:
            ConfigError: they do not.
        """
        limit = min(positions, self.tokens)
        if not 2 <= length <= limit:
            raise ConfigError(f"recipe: {name} = {length}, expected 2..{limit} (positions, tokens per step)")


def run_steps(steps: int, one_step: Callable[[int], float]) -> tuple[list[float], float]:
    """Return the losses of `one_step(0)` to `one_step(steps - 1)`, in nats, and the seconds that all of them took."""
    losses: list[float] = []
    began = time.monotonic()
    for step in tqdm(range(steps), desc="training", disable=not sys.stderr.isatty()):
        losses.append(one_step(step))
        if (step + 1) % 100 == 0:
            mean = sum(losses[-100:]) / 100
            logger.info("step %d/%d loss %.3f %.0f s", step + 1, steps, mean, time.monotonic() - began)
    return losses, time.monotonic() - began


def training_record(
    recipe: Any, book: FactBook, seed: int, model: PreTrainedModel, losses: list[float], seconds: float
) -> dict[str, Any]:
    """Return what is kept of a training run: what determined it, its size, its losses and its seconds.

    Args:
        recipe: a dataclass.
        losses: of all steps, in nats.
    """
    return {
        "recipe": dataclasses.asdict(recipe),
        "seed": seed,
        "facts": {"name": book.name, "seed": book.seed, "count": len(book.facts)},
        "parameters": model.num_parameters(),
        "threads": torch.get_num_threads(),
        "products": str(product_format()),
        "seconds": round(seconds, 1),
        "losses": [round(loss, 4) for loss in losses],
    }
