"""Training of learned editors: episodes, two losses, early stopping, and checkpoints that a killed run goes on from.

The objective is that of MEND (§3.3): after an edit, the answer to an equivalent input, and the divergence of unrelated
predictions from the unedited model's. The edits of a step are independent and share every forward pass, each row with
its own edit, which gives the mean of the losses that the authors' code accumulates one edit at a time.
"""

import json
import logging
import random
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from tqdm import tqdm

from shared.edits.factor_edits import Changes, edited_rows
from shared.errors import ConfigError, NumericalError
from shared.inference.text_batches import answered, divergence, predictions
from shared.learning.drawdown import EDITED, EQUIVALENT
from shared.learning.edit_pools import Episode, Pool, Rows
from shared.learning.learned_editors import (
    LearnedEditor,
    group_divergences,
    group_losses,
    read_description,
    write_described,
)
from shared.learning.unedited_trunk import UneditedTrunk
from shared.model.lean import fused_gelu
from shared.model.models import LM
from shared.records import read_tensors
from shared.seeding import seed_for

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingSettings:
    """How an editor is trained; defaults are MEND's (§5 and the authors' config), `steps` counts optimiser steps.

    Attributes:
        steps: most optimiser steps.
        edits_per_step: independent edits whose losses are averaged in a step.
        n_edits: pairs of one edit.
        n_anchors: statements for locality per edit.
        learns_from: `equivalent` inputs of the edits, or only the `edited` ones.
        warm_up: steps before the first one in which running statistics see edits and nothing is learned.
        lr: learning rate of Adam.
        edit_weight, locality_weight: factors of the two losses.
        clip: largest norm of a gradient.
        validate_every: steps between validations, each of which is a checkpoint.
        validation_edits: edits in a validation.
        patience: validations without a lower loss after which training ends.
        seed: of the parameters and of every episode.
    """

    steps: int = 50_000
    edits_per_step: int = 10
    n_edits: int = 1
    n_anchors: int = 1
    learns_from: str = EQUIVALENT
    warm_up: int = 1
    lr: float | int = 1e-6
    edit_weight: float | int = 0.1
    locality_weight: float | int = 1.0
    clip: float | int = 100.0
    validate_every: int = 500
    validation_edits: int = 500
    patience: int = 4
    seed: int = 0

    def __post_init__(self) -> None:
        for name in (
            "steps",
            "warm_up",
            "edits_per_step",
            "n_edits",
            "n_anchors",
            "validate_every",
            "validation_edits",
            "patience",
        ):
            if getattr(self, name) < 1:
                raise ConfigError(f"training: {name} is {getattr(self, name)}, expected at least 1")
        if self.learns_from not in (EQUIVALENT, EDITED):
            raise ConfigError(f"training: learns_from is {self.learns_from!r}, expected {EQUIVALENT} or {EDITED}")
        for name in ("lr", "clip"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"training: {name} is {getattr(self, name)}, expected a positive number")


@dataclass(frozen=True)
class Losses:
    """Losses of the edits of an episode (in nats): on equivalent inputs, on locality, and of a trained base model."""

    edit: Float[Tensor, " group"]
    locality: Float[Tensor, " group"]
    base: Float[Tensor, " group"]
    success: Float[Tensor, ""]

    def total(self, settings: TrainingSettings) -> Float[Tensor, ""]:
        """Return the weighted mean over edits; the base model's own divergence has weight 1, as in MEND's code."""
        return (settings.edit_weight * self.edit + settings.locality_weight * self.locality + self.base).mean()


def outer_losses(editor: LearnedEditor, lm: LM, episode: Episode, *, training: bool = False) -> Losses:
    """Return what an editor's edits do, differentiable in the editor's parameters.

    Cost: one forward and backward pass over the edits, one forward pass over equivalents and two over anchors, of
    which the second starts at the first edited block.
    """
    with fused_gelu(editor.host(lm)):
        return _outer_losses(editor, lm, episode, training)


def _outer_losses(editor: LearnedEditor, lm: LM, episode: Episode, training: bool) -> Losses:
    host, n = editor.host(lm), episode.edits.n_groups
    changes = editor.changes(lm, episode.edits, training=training)
    logits = edited(host, changes, episode.equivalents)
    edit = group_losses(logits, episode.equivalents.batch, episode.equivalents.group, n)
    rows, trunk = episode.anchors, UneditedTrunk(host.model, changes)
    with trunk.recorded():
        pre = predictions(host, rows.batch)
    with trunk.replayed():
        kept = divergence(pre.detach(), edited(host, changes, rows), rows.batch)
    base = torch.zeros_like(edit)
    if host is not lm:
        with torch.no_grad():
            original = predictions(lm, rows.batch)
        base = group_divergences(divergence(original, pre, rows.batch), rows.batch, rows.group, n)
    success = answered(logits.detach(), episode.equivalents.batch).float().mean()
    return Losses(edit, group_divergences(kept, rows.batch, rows.group, n), base, success)


def edited(lm: LM, changes: Changes, rows: Rows) -> Float[Tensor, "row pos out"]:
    """Return the predictions for rows that carry their edits."""
    with edited_rows(lm.model, changes, rows.group):
        return predictions(lm, rows.batch)


class _Run:
    """What changes while an editor is trained, and its file."""

    def __init__(self, editor: LearnedEditor, settings: TrainingSettings, digest: str):
        self.editor, self.digest = editor, digest
        self.optimiser = torch.optim.Adam(editor.optimiser_groups(settings.lr), fused=True)
        self.step, self.best_step, self.best_loss = 0, 0, float("inf")
        self.best: dict[str, Tensor] = {}
        self.history: list[dict[str, float]] = []

    def improved(self, loss: float) -> None:
        """Take a validation loss into account."""
        if loss < self.best_loss:
            self.best_loss, self.best_step = loss, self.step
            self.best = {name: value.clone() for name, value in self.editor.state_dict().items()}

    def save(self, path: Path) -> None:
        """Write everything that the rest of the training depends on."""
        tensors = {f"editor:{name}": value.clone() for name, value in self.editor.state_dict().items()}
        tensors |= {f"best:{name}": value for name, value in self.best.items()}
        for index, state in self.optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser:{index}:{name}": value for name, value in state.items()}
        kept = {"step": self.step, "best_step": self.best_step, "best_loss": self.best_loss, "history": self.history}
        write_described(path, tensors, {"digest": self.digest, "state": kept})

    def resume(self, path: Path) -> None:
        """Go on from a checkpoint of the same training; one of another training is not used."""
        described = read_description(path)
        if described.get("digest") != self.digest:
            log.warning("%s belongs to a training with other settings, model or data; starting anew", path)
            return
        tensors = read_tensors(path)
        for name, value in described["state"].items():
            setattr(self, name, value)
        self.editor.load_state_dict(_part(tensors, "editor:"))
        self.best = _part(tensors, "best:")
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in _part(tensors, "optimiser:").items():
            index, key = name.split(":")
            state.setdefault(int(index), {})[key] = value
        groups = self.optimiser.state_dict()["param_groups"]
        self.optimiser.load_state_dict({"state": state, "param_groups": groups})
        log.info("going on from step %d", self.step)


def _part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def train(
    editor: LearnedEditor,
    lm: LM,
    train_pool: Pool,
    validation_pool: Pool,
    settings: TrainingSettings,
    *,
    checkpoint: str | Path | None = None,
    digest: str = "",
    label: str = "",
) -> dict[str, Any]:
    """Train an editor in place and leave it at its best validation loss.

    Step i draws its episode from a seed of its own, so that a training that goes on from a checkpoint ends with the
    same bytes as one that was never stopped.

    Args:
        checkpoint: file that is written at every validation and continued from if it is there.
        digest: names model, data and code; a checkpoint with another digest is not continued.
        label: shown beside the progress.

    Returns:
        Steps taken, the best validation's step and losses, and the history of validations.

    Raises:
        NumericalError: a loss or gradient is not finite, or no gradient reaches the editor.
    """
    described = json.dumps([asdict(settings), editor.method, editor.settings, editor.modules_edited], sort_keys=True)
    run = _Run(editor, settings, f"{seed_for(described, digest):x}")
    path = Path(checkpoint) if checkpoint else None
    if path and path.is_file():
        run.resume(path)
    started = time.process_time()
    progress = tqdm(total=settings.steps, initial=run.step, desc=label or editor.method, unit="step", disable=None)
    with progress:
        while run.step < settings.steps and not _exhausted(run, settings):
            if run.step == 0 and not run.history:
                _warm_up(editor, lm, train_pool, settings)
                _validate(run, lm, validation_pool, settings, path)
            _step(run, lm, train_pool, settings)
            progress.update()
            if run.step % settings.validate_every == 0 or run.step == settings.steps:
                _validate(run, lm, validation_pool, settings, path)
    editor.load_state_dict(run.best)
    editor.eval().requires_grad_(False)
    log.info("%s: best step %d of %d, %.0f s", label, run.best_step, run.step, time.process_time() - started)
    return {"steps": run.step, "best_step": run.best_step, "best_loss": run.best_loss, "history": run.history}


def _exhausted(run: _Run, settings: TrainingSettings) -> bool:
    return run.step - run.best_step >= settings.patience * settings.validate_every


@torch.no_grad()
def _warm_up(editor: LearnedEditor, lm: LM, pool: Pool, settings: TrainingSettings) -> None:
    """Let running statistics see some edits, so that the untrained editor can be validated."""
    rng = random.Random(seed_for("warm up", settings.seed))
    for _ in range(settings.warm_up):
        editor.changes(lm, pool.draw(rng, settings.edits_per_step, settings.n_edits, 1).edits, training=True)


def _drawn(pool: Pool, rng: random.Random, groups: int, settings: TrainingSettings) -> Episode:
    episode = pool.draw(rng, groups, settings.n_edits, settings.n_anchors)
    if settings.learns_from == EDITED:
        episode = replace(episode, equivalents=Rows(episode.edits.batch, episode.edits.group))
    return episode


def _step(run: _Run, lm: LM, pool: Pool, settings: TrainingSettings) -> None:
    rng = random.Random(seed_for("episode", settings.seed, run.step))
    episode = _drawn(pool, rng, settings.edits_per_step, settings)
    run.editor.train()
    run.optimiser.zero_grad(set_to_none=True)
    loss = outer_losses(run.editor, lm, episode, training=True).total(settings)
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(run.editor.parameters(), settings.clip)
    if not torch.isfinite(norm):
        raise NumericalError(
            f"step {run.step}: the gradient's norm is {float(norm)}, the loss {loss.item():.3g}; lower lr"
        )
    if run.step == 0 and float(norm) == 0:
        raise NumericalError("no gradient reaches the editor: it could never learn; check the edited modules")
    run.optimiser.step()
    run.step += 1


def _validate(run: _Run, lm: LM, pool: Pool, settings: TrainingSettings, path: Path | None) -> None:
    """Measure the losses on fixed episodes, keep the best parameters, and write a checkpoint."""
    run.editor.eval()
    rng = random.Random(seed_for("validation", settings.seed))
    found = []
    remaining = settings.validation_edits
    with torch.no_grad():
        while remaining > 0:
            groups = min(remaining, settings.edits_per_step)
            losses = outer_losses(run.editor, lm, _drawn(pool, rng, groups, settings))
            row = [
                losses.edit.mean(),
                losses.locality.mean(),
                losses.base.mean(),
                losses.success,
                losses.total(settings),
            ]
            found.append(torch.stack(row) * groups)
            remaining -= groups
    edit, locality, base, success, total = (torch.stack(found).sum(0) / settings.validation_edits).tolist()
    names = {"step": run.step, "edit": edit, "locality": locality, "base": base, "success": success, "total": total}
    run.history.append(names | run.editor.logged())
    log.info("step %d: %s", run.step, " ".join(f"{name} {value:.4g}" for name, value in run.history[-1].items()))
    run.improved(total)
    if path:
        run.save(path)
