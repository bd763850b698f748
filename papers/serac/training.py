"""Training of the two parts, apart from each other (§3.3 of the paper; their losses share no parameter).

The classifier learns by a balanced binary cross-entropy over pairs of edits and inputs, the counterfactual model by the
likelihood of the right answers with the edit before the input.
"""

import copy
import logging
import random
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from tqdm import tqdm

from papers.serac.counterfactual import counterfactual_row
from papers.serac.lessons import Lesson, Teacher
from papers.serac.scope import BOUNDARY, CrossScope, EmbeddingScope
from shared.errors import ConfigError, NumericalError
from shared.inference.text_batches import IGNORED, answered, collate, predictions, token_nll
from shared.model.models import LM
from shared.seeding import seed_for
from shared.world.lesson import in_block
from shared.world.optimisation import make_optimisers, mixed_precision, set_rates

log = logging.getLogger(__name__)
# Stands for 1 - g where that is 0 in the authors' code.
LEAST = 1.2e-7
# Steps for which the same memory is held.
MEMORY_STEPS = 10
# Names of a GPT-2's or LLaMA's blocks.
DECODER_BLOCK = re.compile(r"(^|\.)(h|layers)\.\d+\.")
DIAGONAL, ALL, LIKELIEST = "diagonal", "all", "likeliest"


@dataclass(frozen=True)
class PartSettings:
    """How one part is trained.

    Attributes:
        steps: optimiser steps.
        batch: edits per step.
        lr: learning rate of Adam, which rises over the first 5 % of the steps and then falls linearly to 0.
        muon: learning rate of Muon for the blocks' matrices, on the same course; 0 for Adam throughout.
        clip: largest norm of a gradient.
        negatives: `diagonal` (each edit with its own input out of scope, as in the authors' code), `all` pairs that are
            known to be out of scope, or for each input the `likeliest` one of them, which routing would take.
        memory: edits that a classifier of two encodings is trained against, of which a step asks about `batch`; 0 for
            these alone.
        near_share: share of hard inputs among those out of scope.
        foreign_share: share of the edits that get the answer of any other edit.
        validate_every: steps between validations; the weights of the best one are kept.
        validation_batches: lessons of a validation.
        seed: of what is drawn.
    """

    steps: int
    batch: int = 10
    lr: float | int = 1e-5
    muon: float | int = 0.0
    clip: float | int = 100.0
    negatives: str = DIAGONAL
    memory: int = 0
    near_share: float | int = 0.5
    foreign_share: float | int = 0.0
    validate_every: int = 200
    validation_batches: int = 6
    seed: int = 0

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch < 2 or not self.lr > 0 or self.validate_every < 1:
            raise ConfigError(
                f"training: steps {self.steps}, batch {self.batch}, lr {self.lr}, validate_every "
                f"{self.validate_every}; expected at least 1, at least 2, above 0, at least 1"
            )
        if self.negatives not in (DIAGONAL, ALL, LIKELIEST):
            raise ConfigError(
                f"training: negatives {self.negatives!r} are unknown; expected {DIAGONAL}, {ALL} or {LIKELIEST}"
            )


def scope_loss(scores: Float[Tensor, "input edit"], lesson: Lesson, negatives: str) -> Tensor:
    """Return the balanced cross-entropy of log g over a lesson's pairs: mean over positives plus mean over negatives.

    Args:
        scores: log g of the inputs inside, then those outside, with each edit.
        negatives: which pairs are negatives, see `PartSettings`.
    """
    count = len(lesson.inside)
    positive = -scores[:count].diagonal().mean()
    free = lesson.free.to(scores.device)
    if negatives == DIAGONAL:
        chosen = scores[count:].diagonal()
    elif negatives == ALL:
        chosen = scores[free]
    else:
        chosen = scores.masked_fill(~free, -torch.inf).max(1).values[free.any(1)]
    return positive - (-torch.expm1(chosen)).clamp(min=LEAST).log().mean()


def scope_accuracy(scores: Float[Tensor, "input edit"], lesson: Lesson) -> dict[str, float]:
    """Return shares of right decisions: inputs inside that their own edit covers, that it is the likeliest for, and
    inputs outside that no edit covers."""
    count = len(lesson.inside)
    own = scores[:count].diagonal()
    return {
        "covered": (own > BOUNDARY).float().mean().item(),
        "retrieved": (scores[:count].argmax(1).cpu() == torch.arange(count)).float().mean().item(),
        "left_alone": (scores[count:].max(1).values <= BOUNDARY).float().mean().item(),
    }


def train_scope(
    scope: EmbeddingScope | CrossScope, teacher: Teacher, examiner: Teacher, settings: PartSettings
) -> dict[str, Any]:
    """Train a scope classifier in place and return the history of its validations.

    Validation asks about its own edits; with a memory, they are held together with as many of the training's.
    """
    rng = random.Random(seed_for("scope lessons", settings.seed))
    lessons = _lessons(scope, teacher, rng, settings)

    def loss() -> Tensor:
        lesson = next(lessons)
        return scope_loss(scope.log_scores(lesson.edits, lesson.inputs), lesson, settings.negatives)

    def examined() -> Iterator[tuple[Lesson, Tensor]]:
        own = random.Random(seed_for("scope validation", settings.seed))
        for _ in range(settings.validation_batches):
            asked = examiner.drawn(own, settings.batch)
            lesson = examiner.lesson(own, asked, teacher.drawn(own, settings.memory) if settings.memory else ())
            yield lesson, scope.log_scores(lesson.edits, lesson.inputs)

    def examine() -> dict[str, float]:
        found = [
            {"loss": scope_loss(scores, lesson, settings.negatives).item()} | scope_accuracy(scores, lesson)
            for lesson, scores in examined()
        ]
        return {name: sum(entry[name] for entry in found) / len(found) for name in found[0]}

    history = fit(scope.model, loss, examine, settings, "scope classifier")
    if isinstance(scope, EmbeddingScope):
        scope.forget()
        if settings.memory:
            with torch.no_grad():
                boundary = best_boundary(list(examined()))
            scope.scale = BOUNDARY / boundary
            history |= {"scale": scope.scale, "at_scale": examine()}
    return history


def best_boundary(examined: Sequence[tuple[Lesson, Float[Tensor, "input edit"]]]) -> float:
    """Return the log g that best parts inputs inside from those outside, by the mean of both shares of right decisions.

    Of all that do equally well it is the one amid them.
    """
    inside = torch.cat([scores[: len(lesson.inside)].max(1).values for lesson, scores in examined])
    outside = torch.cat([scores[len(lesson.inside) :].max(1).values for lesson, scores in examined])
    values = torch.cat([inside, outside]).unique()
    between = (values[1:] + values[:-1]) / 2
    right = (inside[:, None] > between).double().mean(0) + (outside[:, None] <= between).double().mean(0)
    return float(between[right >= right.max() - 1e-9].median())


def _lessons(
    scope: EmbeddingScope | CrossScope, teacher: Teacher, rng: random.Random, settings: PartSettings
) -> Iterator[Lesson]:
    """Yield the lessons of the steps.

    With a memory the vectors of its edits, which choose the likeliest, are those of the step at which it was drawn.
    What a step learns from is encoded anew.
    """
    if not settings.memory:
        while True:
            yield teacher.lesson(rng, teacher.drawn(rng, settings.batch))
    if not isinstance(scope, EmbeddingScope):
        raise ConfigError("training: a classifier that reads both texts cannot be trained against a memory of edits")
    while True:
        held = teacher.drawn(rng, settings.memory)
        scope.forget()
        for _ in range(MEMORY_STEPS):
            rng.shuffle(held)
            lesson = teacher.lesson(rng, held[: settings.batch], held[settings.batch :])
            yield lesson.narrowed(scope.kept_scores(lesson.edits, lesson.inputs))


def train_counterfactual(lm: LM, teacher: Teacher, examiner: Teacher, settings: PartSettings) -> dict[str, Any]:
    """Train a counterfactual model in place and return the history of its validations."""
    rng = random.Random(seed_for("counterfactual lessons", settings.seed))

    def asked(source: Teacher, own: random.Random) -> tuple[Tensor, Any]:
        pairs = source.answers(own, settings.batch)
        rows = [counterfactual_row(lm, edit, item.source, item.target) for edit, item in pairs]
        batch = collate(lm, rows)
        return predictions(lm, batch), batch

    def loss_of(logits: Tensor, batch: Any) -> Tensor:
        return token_nll(logits, batch).sum() / (batch.labels != IGNORED).sum()

    def examine() -> dict[str, float]:
        own = random.Random(seed_for("counterfactual validation", settings.seed))
        found = []
        for _ in range(settings.validation_batches):
            logits, batch = asked(examiner, own)
            right = answered(logits, batch).float().mean().item()
            found.append({"loss": loss_of(logits, batch).item(), "right": right})
        return {name: sum(entry[name] for entry in found) / len(found) for name in found[0]}

    return fit(lm.model, lambda: loss_of(*asked(teacher, rng)), examine, settings, "counterfactual model")


def fit(
    model: nn.Module,
    loss: Callable[[], Tensor],
    examine: Callable[[], dict[str, float]],
    settings: PartSettings,
    title: str,
) -> dict[str, Any]:
    """Take the steps, keep the weights of the best validation, and return the history."""
    model.requires_grad_(True)
    # Fused attention has a slow backward pass on a CPU.
    model.set_attn_implementation("eager")
    optimisers = _optimisers(model, settings)
    warm_up = max(1, settings.steps // 20)
    began, history, best = time.monotonic(), [], None
    for step in tqdm(range(settings.steps), desc=title, disable=None):
        set_rates(optimisers, min((step + 1) / warm_up, (settings.steps - step) / settings.steps))
        with mixed_precision():
            value = loss()
        if not torch.isfinite(value):
            raise NumericalError(f"{title}, step {step}: the loss is {value.item()}; lower lr ({settings.lr})")
        value.backward()
        nn.utils.clip_grad_norm_(model.parameters(), settings.clip)
        for optimiser in optimisers:
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        if (step + 1) % settings.validate_every == 0 or step + 1 == settings.steps:
            with torch.no_grad():
                entry = {"step": step + 1, "training_loss": value.item(), **examine()}
            history.append(entry)
            log.info("%s: %s", title, {name: round(number, 3) for name, number in entry.items()})
            if best is None or entry["loss"] < best[0]:
                best = (entry["loss"], step + 1, copy.deepcopy(model.state_dict()))
    model.load_state_dict(best[2])
    model.requires_grad_(False)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    seconds = round(time.monotonic() - began, 1)
    return {"best_step": best[1], "seconds": seconds, "parameters": parameters, "history": history}


def _optimisers(model: nn.Module, settings: PartSettings) -> list[torch.optim.Optimizer]:
    """Return the optimisers with each group's base rate, which `set_rates` takes."""
    if not settings.muon:
        adam = torch.optim.Adam(model.parameters(), lr=settings.lr)
        adam.param_groups[0]["base_rate"] = settings.lr
        return [adam]
    named = dict(model.named_parameters())
    blocks = {name for name in named if in_block(name) or DECODER_BLOCK.search(name)}
    matrices = {name: value for name, value in named.items() if name in blocks and value.ndim == 2}
    others = [value for name, value in named.items() if name not in matrices]
    rates = {"muon_rate": settings.muon, "adam_rate": settings.lr, "weight_decay": 0.0}
    return make_optimisers(list(matrices.values()), others, **rates)
