"""What the batched engine of learned editors is measured against: one edit at a time, with whole changed weights."""

import random
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.nn.utils import parameters_to_vector

from papers.mend.method import Mend
from shared.data.templates import fill
from shared.edits.deltas import applied
from shared.edits.factor_edits import Dense, edit_of, edited_rows
from shared.inference.text_batches import divergence, predictions, token_nll
from shared.learning.edit_examples import EditExample, ExampleSet, Statement
from shared.learning.edit_pools import Episode, Pool, Rows
from shared.learning.edit_success import Trained, ask_after_edits, episodes_of
from shared.learning.editor_training import TrainingSettings, outer_losses
from shared.learning.learned_editors import Edits, group_divergences, group_losses
from shared.model.models import LM
from tests.bench import Comparison, Setup

STEP_EDITS = 10
ANCHORS = 4


def pool_of(setup: Setup) -> Pool:
    """Return the setup's cases as edits, each also in other words, so that there are enough of them."""
    examples, anchors = [], []
    for case in setup.cases:
        request = case.request
        for source in (fill(request.prompt, request.subject), *case.paraphrase_prompts):
            others = tuple(text for text in case.paraphrase_prompts if text != source) or (source,)
            examples.append(EditExample(len(examples), source, request.target_new, others))
        anchors += [Statement(prompt, request.target_true) for prompt in case.neighborhood_prompts]
    return Pool(setup.lm, ExampleSet(tuple(examples), tuple(anchors)))


def single(episode: Episode, edit: int) -> Episode:
    """Return one edit of an episode as an episode of its own, without padding."""

    def own(batch, group) -> Rows:
        rows = (group == edit).nonzero()[:, 0]
        cut = batch.select(rows)
        width = int(cut.inputs["attention_mask"].sum(-1).max())
        inputs = {name: value[:, :width] for name, value in cut.inputs.items()}
        cut = type(cut)(inputs, cut.labels[:, :width], cut.mask[:, :width], cut.binary)
        return Rows(cut, torch.zeros(len(rows), dtype=torch.long))

    pairs = own(episode.edits.batch, episode.edits.group)
    conditions = [episode.edits.conditions[row] for row in (episode.edits.group == edit).nonzero()[:, 0].tolist()]
    edits = Edits(pairs.batch, pairs.group, 1, conditions)
    equivalents = own(episode.equivalents.batch, episode.equivalents.group)
    anchors = own(episode.anchors.batch, episode.anchors.group)
    return Episode((episode.example_ids[edit],), edits, equivalents, anchors)


def step_one_by_one(editor: Mend, lm: LM, episode: Episode, settings: TrainingSettings) -> tuple[Tensor, Tensor]:
    """Return loss and gradient of a step, accumulated edit by edit with whole changes of the weights."""
    editor.zero_grad(set_to_none=True)
    losses = []
    for edit in range(episode.edits.n_groups):
        one = single(episode, edit)
        changes = {
            name: Dense(change.left.transpose(1, 2) @ change.right)
            for name, change in editor.changes(lm, one.edits).items()
        }
        with torch.no_grad():
            before = predictions(lm, one.anchors.batch)
        with edited_rows(lm.model, changes, one.equivalents.group):
            edit_loss = group_losses(
                predictions(lm, one.equivalents.batch), one.equivalents.batch, one.equivalents.group, 1
            )
        with edited_rows(lm.model, changes, one.anchors.group):
            kept = divergence(before, predictions(lm, one.anchors.batch), one.anchors.batch)
        local = group_divergences(kept, one.anchors.batch, one.anchors.group, 1)
        loss = (settings.edit_weight * edit_loss + settings.locality_weight * local).mean() / episode.edits.n_groups
        loss.backward()
        losses.append(loss.detach())
    return torch.stack(losses).sum(), parameters_to_vector([p.grad for p in editor.parameters()])


def step_together(editor: Mend, lm: LM, episode: Episode, settings: TrainingSettings) -> tuple[Tensor, Tensor]:
    """Return loss and gradient of a step as training takes it."""
    editor.zero_grad(set_to_none=True)
    loss = outer_losses(editor, lm, episode).total(settings)
    loss.backward()
    return loss.detach(), parameters_to_vector([p.grad for p in editor.parameters()])


@torch.no_grad()
def ask_one_by_one(editor: Mend, pool: Pool, episodes: Sequence[Episode]) -> list[float]:
    """Return NLL before and after of every question, each edit added to the weights and taken away again."""
    found = []
    for episode in episodes:
        for edit in range(episode.edits.n_groups):
            one = single(episode, edit)
            made = edit_of(editor.changes(pool.lm, one.edits), 0)
            asked = [Rows(one.edits.batch, one.edits.group), one.equivalents, one.anchors]
            rows = [rows.batch.select(torch.tensor([line])) for rows in asked for line in range(len(rows.batch))]
            before = [float(token_nll(predictions(pool.lm, row), row).sum()) for row in rows]
            with applied(pool.lm, made):
                after = [float(token_nll(predictions(pool.lm, row), row).sum()) for row in rows]
            found += [value for pair in zip(before, after, strict=True) for value in pair]
    return sorted(found)


def ask_together(editor: Mend, pool: Pool, edits: int) -> list[float]:
    """Return the same numbers from the batched test."""
    rows = ask_after_edits(pool.lm, {"mend": Trained(editor)}, pool, edits=edits, n_anchors=ANCHORS)
    return sorted(value for row in rows for value in (row["nll_before"], row["nll"]))


def _difference(slow: tuple[Tensor, Tensor], fast: tuple[Tensor, Tensor]) -> float:
    loss = abs(float(slow[0] - fast[0]) / float(slow[0]))
    return max(loss, float((slow[1] - fast[1]).norm() / slow[1].norm()))


def comparisons(setup: Setup) -> Iterator[Comparison]:
    """Yield MEND's comparisons: a training step, and the test of edits."""
    lm, pool = setup.lm, pool_of(setup)
    names = {id(module): name for name, module in lm.model.named_modules()}
    last = range(lm.arch.n_layers - 2, lm.arch.n_layers)
    modules = [names[id(side(layer))] for layer in last for side in (lm.arch.mlp_out, lm.arch.mlp_in)]
    torch.manual_seed(0)
    editor = Mend(lm, modules, rank=64, rate=1e-3).to(lm.device)
    settings = TrainingSettings()
    episode = pool.draw(random.Random(0), STEP_EDITS, 1, 1)
    with torch.no_grad():
        editor.changes(lm, episode.edits, training=True)
        for network in editor.networks.values():
            for block in network.blocks:
                block.up.normal_(std=1e-3)
    yield Comparison(
        f"a training step of MEND on {STEP_EDITS} edits",
        3,
        lambda: step_one_by_one(editor, lm, episode, settings),
        lambda: step_together(editor, lm, episode, settings),
        _difference,
        "relative",
    )
    count = len(pool.examples)
    episodes = list(episodes_of(pool, count, 1, ANCHORS, 0))
    yield Comparison(
        f"edit success and drawdown of {count} edits",
        3,
        lambda: ask_one_by_one(editor, pool, episodes),
        lambda: ask_together(editor, pool, count),
        lambda slow, fast: max(abs(one - other) for one, other in zip(slow, fast, strict=True)),
        "nats",
    )
