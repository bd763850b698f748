"""Asking a model after edits: the edited inputs, equivalent ones, and statements that should stay (MEND, §4).

Every edit is made of the unedited model. An answer is right if each of its tokens is the most probable one,
teacher-forced. One row per question is kept; `shared.learning.drawdown` turns rows into edit success and drawdown.
"""

import random
from collections.abc import Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor
from tqdm import tqdm

from shared.edits.factor_edits import Changes, edited_rows
from shared.errors import NumericalError
from shared.inference.text_batches import IGNORED, TextBatch, answered, divergence, predictions, token_nll
from shared.learning.drawdown import ANCHOR, EDITED, EQUIVALENT
from shared.learning.edit_pools import Episode, Pool, Rows
from shared.learning.learned_editors import Edits, LearnedEditor
from shared.learning.unedited_trunk import UneditedTrunk
from shared.model.lean import fused_gelu
from shared.model.models import LM
from shared.seeding import seed_for


@runtime_checkable
class Method(Protocol):
    """Anything that answers after edits: a learned editor, fine-tuning, a cache."""

    def prepare(self, lm: LM, edits: Edits) -> Any:
        """Return what the edits are, made for all of them at once."""
        ...

    def answers(self, lm: LM, prepared: Any, rows: Rows) -> Float[Tensor, "row pos out"]:
        """Return the predictions for rows that carry their edits."""
        ...

    def before(self, lm: LM, batch: TextBatch) -> Float[Tensor, "row pos out"]:
        """Return the predictions of the model that is edited, before any edit."""
        ...


class OfBaseModel:
    """What methods share that edit the base model itself."""

    def before(self, lm: LM, batch: TextBatch) -> Float[Tensor, "row pos out"]:
        """Return the predictions of the base model."""
        return predictions(lm, batch)


class NoEdit(OfBaseModel):
    """The unedited model: the first row of every table."""

    def prepare(self, lm: LM, edits: Edits) -> None:
        """Make nothing."""

    def answers(self, lm: LM, prepared: None, rows: Rows) -> Float[Tensor, "row pos out"]:
        """Return the predictions of the unedited model."""
        return predictions(lm, rows.batch)


class WeightMethod:
    """What methods share that change weights; `prepare` returns the changes."""

    def host(self, lm: LM) -> LM:
        """Return the model that is edited: the base model, unless a method has its own."""
        return lm

    def answers(self, lm: LM, prepared: Changes, rows: Rows) -> Float[Tensor, "row pos out"]:
        """Return the predictions for rows that carry their edits."""
        with edited_rows(self.host(lm).model, prepared, rows.group):
            return predictions(self.host(lm), rows.batch)

    def before(self, lm: LM, batch: TextBatch) -> Float[Tensor, "row pos out"]:
        """Return the predictions of the model that is edited."""
        return predictions(self.host(lm), batch)


class Trained(WeightMethod):
    """A learned editor on the model that it edits, which may be a trained copy of the base model."""

    def __init__(self, editor: LearnedEditor):
        self.editor = editor

    def prepare(self, lm: LM, edits: Edits) -> Changes:
        """Return the changes of all edits."""
        return self.editor.changes(lm, edits)

    def host(self, lm: LM) -> LM:
        """Return the model that the editor changes."""
        return self.editor.host(lm)


def episodes_of(pool: Pool, edits: int, n_edits: int, n_anchors: int, seed: int, rows: int = 64) -> Iterator[Episode]:
    """Yield episodes of `edits` edits of `n_edits` pairs each; the same for every method.

    Args:
        rows: pairs of one episode, at least those of one edit; it bounds memory and decides which anchors are drawn.
    """
    per_episode = max(1, rows // n_edits)
    rng = random.Random(seed_for("test", seed, n_edits))
    groups = pool.groups(rng, edits, n_edits)
    for first in range(0, edits, per_episode):
        yield pool.episode(rng, groups[first : first + per_episode], n_anchors)


@torch.no_grad()
def ask_after_edits(
    lm: LM,
    methods: Mapping[str, Method],
    pool: Pool,
    *,
    edits: int,
    n_edits: int = 1,
    n_anchors: int = 4,
    seed: int = 0,
) -> Iterator[dict[str, Any]]:
    """Make edits with several methods and yield one row per question.

    Args:
        methods: name → method; all of them meet the same edits and questions.
        edits: number of edits.
        n_edits: pairs that each edit writes together.
        n_anchors: statements asked after each edit.

    Yields:
        editor, edits (pairs per edit), edit (its number), example_id (of an edited pair; -1 for anchors), kind, whether
        the answer was right before and after, whether the predictions stayed the same, summed NLL before and after,
        tokens, and the summed divergence (nats).

    Raises:
        NumericalError: an answer is not finite.
    """
    for name, method in methods.items():
        done = 0
        episodes = episodes_of(pool, edits, n_edits, n_anchors, seed)
        for episode in tqdm(episodes, desc=name, unit="batch", disable=None):
            with fused_gelu(lm):
                found = list(ask_episode(lm, name, method, episode, n_edits, done))
            yield from found
            done += episode.edits.n_groups


def ask_episode(
    lm: LM, name: str, method: Method, episode: Episode, n_edits: int, done: int
) -> Iterator[dict[str, Any]]:
    """Yield the rows of one episode, as `ask_after_edits` does; `done` edits stand before its first one."""
    prepared = method.prepare(lm, episode.edits)
    members = [example for ids in episode.example_ids for example in ids]
    asked = {
        EDITED: Rows(episode.edits.batch, episode.edits.group),
        EQUIVALENT: episode.equivalents,
        ANCHOR: episode.anchors,
    }
    for kind, rows in asked.items():
        before, after = _before_and_after(lm, method, prepared, rows)
        found = _measured(before, after, rows.batch, name)
        for place, (group, measured) in enumerate(zip(rows.group.tolist(), found, strict=True)):
            example = -1 if kind == ANCHOR else members[place]
            label = {"editor": name, "edits": n_edits, "edit": done + group, "example_id": example}
            yield {**label, "kind": kind, **measured}


def _before_and_after(lm: LM, method: Method, prepared: Any, rows: Rows) -> tuple[Tensor, Tensor]:
    """Return the predictions for the same rows without and with their edits."""
    if not isinstance(method, WeightMethod):
        return method.before(lm, rows.batch), method.answers(lm, prepared, rows)
    trunk = UneditedTrunk(method.host(lm).model, prepared)
    with trunk.recorded():
        before = method.before(lm, rows.batch)
    with trunk.replayed():
        return before, method.answers(lm, prepared, rows)


def _measured(before: Tensor, after: Tensor, batch: TextBatch, name: str) -> list[dict[str, Any]]:
    """Return what is kept of each row's predictions before and after."""
    wanted = batch.labels != IGNORED
    columns = {
        "correct_before": answered(before, batch),
        "correct": answered(after, batch),
        "same": answered(after, _predicted(before, batch)),
        "nll_before": token_nll(before, batch).sum(-1).double(),
        "nll": token_nll(after, batch).sum(-1).double(),
        "tokens": wanted.sum(-1),
        "divergence": divergence(before, after, batch).sum(-1).double(),
    }
    if not torch.isfinite(columns["nll"]).all():
        raise NumericalError(f"{name}: an edit drove the model out of floating-point range; lower its rate")
    lists = [column.tolist() for column in columns.values()]
    return [dict(zip(columns, values, strict=True)) for values in zip(*lists, strict=True)]


def _predicted(before: Tensor, batch: TextBatch) -> TextBatch:
    """Return the batch with what the model predicted in the place of its labels."""
    labels = (before[..., 0] > 0).long() if batch.binary else before.argmax(-1)
    return TextBatch(batch.inputs, labels.masked_fill(batch.labels == IGNORED, IGNORED), batch.mask, batch.binary)
