"""How decoders are taught to read in-context documents: the stages of the teaching, and the recipe of each size."""

from dataclasses import dataclass, field

from shared.errors import ConfigError
from shared.world.in_context import ContextOptions
from shared.world.training_run import StepRecipe


@dataclass(frozen=True)
class Stage:
    """Part of the training.

    Attributes:
        until: share of all steps at which it ends.
        lengths: tokens per row, in turn from step to step.
        careless: whether some documents are careless, see `in_context`; before that all are careful.
        words: weight in the loss of a question's words; the answer's tokens weigh 1, the new fact's words a quarter of
            this. Words teach the first stage to recognise a name it has just read; later they would only be noise.
        plain: share of ordinary documents, which keep the facts known.
    """

    until: float
    lengths: tuple[int, ...]
    careless: bool
    words: float = 0.0
    plain: float = 0.25


@dataclass(frozen=True, kw_only=True)
class ContextRecipe(StepRecipe):
    """Everything that determines the teaching besides the facts, the model that it starts from, and the seed.

    Attributes:
        steps: optimiser steps.
        stages: in order; single questions first, since in them the match of two mentions is learned, then longer
            documents of both kinds.
        positions: positions of the taught model.
        matching_block: index of the added block; the blocks before it look subjects up.
        anywhere: share of the rows that begin at a random position instead of the first, so that what short rows teach
            holds at all positions.
        hints: weight of the loss of linear readers that must tell, from the states behind the blocks that follow the
            added one, what a question is about and how earlier ones were answered. The answers alone teach this too
            slowly; the readers are no part of the taught model. 0 leaves them out.
        old_rate: factor on `muon_rate`, which holds for the added block's matrices, for those of the other blocks.
        decay: share of the steps, at the end, over which the rates fall to 2 %.
        documents: how in-context documents are sampled.
    """

    steps: int
    stages: tuple[Stage, ...]
    positions: int
    matching_block: int
    anywhere: float = 0.5
    hints: float = 0.0
    muon_rate: float = 0.015
    old_rate: float = 0.6
    adam_rate: float = 2e-3
    decay: float = 0.4
    documents: ContextOptions = field(default_factory=ContextOptions)

    def __post_init__(self) -> None:
        bounds = [stage.until for stage in self.stages]
        if not bounds or bounds != sorted(bounds) or bounds[-1] != 1:
            raise ConfigError(f"in-context recipe: stages end at {bounds}, expected rising shares with 1 last")
        for length in {length for stage in self.stages for length in stage.lengths}:
            self.require_rows("lengths", length, self.positions)

    def stage_at(self, step: int) -> Stage:
        """Return the stage that `step` belongs to."""
        return next(stage for stage in self.stages if step < stage.until * self.steps)

    def rate_at(self, step: int) -> float:
        """Return the factor on the base learning rates at `step`."""
        left = (self.steps - step) / (self.decay * self.steps)
        return min(1.0, (step + 1) / self.warmup) * max(0.02, min(1.0, left))


RECIPES = {
    "tiny": ContextRecipe(
        steps=320,
        stages=(Stage(0.6, (24,), False, 0.2, plain=0.4), Stage(1.0, (192,), True, plain=0.4)),
        positions=256,
        matching_block=3,
        documents=ContextOptions(careless=0.9),
    ),
    "small": ContextRecipe(
        steps=2300,
        stages=(
            Stage(0.18, (24,), False, 0.2),
            Stage(0.46, (48, 96), False),
            Stage(0.73, (96,), True, plain=0.4),
            Stage(1.0, (192,), True, plain=0.6),
        ),
        positions=256,
        matching_block=4,
        decay=0.3,
        hints=1.0,
    ),
}
