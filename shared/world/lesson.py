"""Training a further family from scratch: its recipe, what a family teaches, and the loop over steps."""

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from shared.errors import ConfigError
from shared.model.models import LM
from shared.seeding import seed_for
from shared.world.factbook import FactBook
from shared.world.optimisation import make_optimisers, rate_factor, set_rates, take_step
from shared.world.training_run import run_steps, training_record

# Least factor on the base rates in the first of two parts.
FIRST_LOWEST = 0.1


@dataclass(frozen=True)
class FamilyRecipe:
    """Everything that determines a training run of a further family besides the facts and the seed.

    Attributes:
        d_model: width of the residual stream, a multiple of `heads`.
        layers: blocks of each stack.
        heads: attention heads.
        steps: optimiser steps.
        rows: texts per step.
        muon_rate: learning rate of the blocks' matrices.
        adam_rate: learning rate of everything else.
        weight_decay: decoupled weight decay of the matrices.
        warmup: steps of linear warm-up; afterwards the rate falls linearly to 2 %.
        vocabulary: most tokens of a byte-pair tokenizer; encoders have one token per word.
        label_smoothing: share of a target's probability that goes to all words alike; it keeps the masked model's
            probabilities away from 1, where attributions vanish.
        retrieval_share: share of a classifier's steps, at their start, that teach it objects first.
        second_rate: greatest factor on the rates in the steps after these.
    """

    d_model: int
    layers: int
    heads: int
    steps: int
    rows: int = 64
    muon_rate: float = 0.02
    adam_rate: float = 3e-3
    weight_decay: float = 0.01
    warmup: int = 30
    vocabulary: int = 1000
    label_smoothing: float = 0.0
    retrieval_share: float = 0.0
    second_rate: float = 1.0

    def __post_init__(self) -> None:
        if self.d_model % self.heads:
            raise ConfigError(f"recipe: d_model = {self.d_model} is no multiple of heads = {self.heads}")
        for name in ("label_smoothing", "retrieval_share"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"recipe: {name} = {getattr(self, name)}, expected a share in [0, 1)")

    @property
    def first_steps(self) -> int:
        """Steps of the first part."""
        return round(self.retrieval_share * self.steps)

    def rate_at(self, step: int) -> float:
        """Return the factor on the base learning rates at `step`.

        A classifier's rate falls in each of its two parts: objects are only learnt at low rates, and verdicts only once
        the objects are known.
        """
        first = self.first_steps
        if step >= first:
            return rate_factor(step - first, self.steps - first, self.warmup, scale=self.second_rate if first else 1.0)
        return min(1.0, (step + 1) / self.warmup) * max(FIRST_LOWEST, 1.0 - step / first)


@runtime_checkable
class Lesson(Protocol):
    """What one family learns, and how it is examined.

    Attributes:
        tokenizer: the family's own.
        model: what is saved.
        learner: what is trained; it may have more parts than `model`.
    """

    tokenizer: PreTrainedTokenizerBase
    model: PreTrainedModel
    learner: nn.Module

    def loss(self, step: int) -> Tensor:
        """Return the scalar loss of `step`, in nats; calls must follow the order of steps."""
        ...

    def measure(self, lm: LM) -> dict[str, float]:
        """Return what the gate looks at."""
        ...


def train(lesson: Lesson, book: FactBook, recipe: FamilyRecipe, seed: int) -> dict[str, Any]:
    """Train the lesson's model in place and return the training record (recipe, losses, seconds).

    The result depends only on the lesson, the recipe and, through floating-point order, the number of threads.

    Raises:
        NumericalError: if the loss stops being finite.
    """
    named = dict(lesson.learner.named_parameters())
    matrices = [parameter for name, parameter in named.items() if in_block(name) and parameter.ndim == 2]
    chosen = {id(parameter) for parameter in matrices}
    optimisers = make_optimisers(
        matrices,
        [parameter for parameter in named.values() if id(parameter) not in chosen],
        muon_rate=recipe.muon_rate,
        adam_rate=recipe.adam_rate,
        weight_decay=recipe.weight_decay,
    )
    lesson.learner.train()

    def one_step(step: int) -> float:
        set_rates(optimisers, recipe.rate_at(step))
        return take_step(lesson.loss(step), lesson.learner.parameters(), optimisers, step)

    losses, seconds = run_steps(recipe.steps, one_step)
    lesson.learner.eval()
    return training_record(recipe, book, seed, lesson.model, losses, seconds)


def in_block(name: str) -> bool:
    """Return whether a parameter of a BERT- or T5-like model belongs to a block.

    Relative position biases are tables, although they are matrices of a block.
    """
    return (".layer." in name or ".block." in name) and "relative_attention_bias" not in name


def seeded(name: str, seed: int) -> None:
    """Seed torch for the initial weights of one family."""
    torch.manual_seed(seed_for(name, seed) % 2**31)
