import copy
import random

import pytest
import torch

from papers.mend.cache import Cache, input_keys
from papers.mend.enn import EditableNetwork
from papers.mend.tuning import FineTuning
from shared.edits.deltas import applied
from shared.edits.factor_edits import edit_of
from shared.errors import ConfigError
from shared.inference.text_batches import answered, predictions
from shared.learning.edit_pools import Rows
from shared.learning.edit_success import NoEdit, Trained, ask_after_edits
from shared.learning.editor_training import TrainingSettings, outer_losses, train
from shared.learning.learned_editors import Edits, group_losses, load_learned, save_learned
from shared.tests.episodes import model_of, modules_of, pool_of

FAMILIES = ("gpt2", "t5", "bert_one_logit")


def episode_of(family, count=3, seed=0):
    pool = pool_of(family)
    return pool, pool.draw(random.Random(seed), count, 1, 2)


def loss_of(lm, rows):
    return group_losses(predictions(lm, rows.batch), rows.batch, rows.group, 1).sum()


@pytest.mark.parametrize("family", FAMILIES)
def test_an_editable_network_steps_along_its_gradient_and_learns_through_the_step(family):
    pool, episode = episode_of(family, 1)
    lm = pool.lm
    editor = EditableNetwork(lm, modules_of(lm), rate=0.1)
    changes = editor.changes(lm, episode.edits)
    gradient = torch.autograd.grad(sum(c.left.sum() + c.right.sum() for c in changes.values()), editor.rates)[0]
    assert (gradient != 0).all()
    editor.network.double()
    # The outer gradient of the edit's loss against a difference quotient along one direction.
    weight = editor.network.get_submodule(modules_of(lm)[0]).weight
    direction = torch.randn(weight.shape, generator=torch.Generator().manual_seed(0)).double()

    def total():
        return outer_losses(editor, lm, episode).edit.sum()

    analytic = (torch.autograd.grad(total(), weight)[0] * direction).sum().item()
    values = []
    for sign in (1, -1):
        with torch.no_grad():
            weight.add_(sign * 1e-4 * direction)
        values.append(total().item())
        with torch.no_grad():
            weight.sub_(sign * 1e-4 * direction)
    assert analytic == pytest.approx((values[0] - values[1]) / 2e-4, rel=3e-2, abs=2e-3)


def test_a_trained_editable_network_is_saved_whole_and_leaves_the_base_model(tmp_path):
    pool = pool_of("gpt2")
    before = copy.deepcopy(pool.lm.model.state_dict())
    editor = EditableNetwork(pool.lm, modules_of(pool.lm), rate=0.1)
    settings = TrainingSettings(steps=2, edits_per_step=2, lr=1e-3, validate_every=1, validation_edits=2)
    made = train(editor, pool.lm, pool, pool, settings)
    assert made["best_loss"] < made["history"][0]["total"]
    assert all(torch.equal(value, before[name]) for name, value in pool.lm.model.state_dict().items())
    save_learned(editor, pool.lm, tmp_path / "enn", {})
    again = load_learned(tmp_path / "enn", pool.lm)
    state = editor.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in again.state_dict().items())
    assert not torch.equal(state["rates"], torch.full((4,), 0.1))


@pytest.mark.parametrize("family", FAMILIES)
def test_fine_tuning_side_by_side_is_torchs_rmsprop_one_at_a_time(family):
    pool, episode = episode_of(family)
    lm, names = pool.lm, modules_of(pool.lm)
    method = FineTuning(lm, names, pool, lr=1e-2, steps=5, together=2)
    changes = method.prepare(lm, episode.edits)
    for edit in range(3):
        network = copy.deepcopy(lm.model)
        own = type(lm)(network, lm.tokenizer, "copy")
        weights = [network.get_submodule(name).weight.requires_grad_() for name in names]
        optimiser = torch.optim.RMSprop(weights, lr=1e-2)
        rows = Rows(episode.edits.batch.select(torch.tensor([edit])), torch.zeros(1, dtype=torch.long))
        for _ in range(5):
            logits = predictions(own, rows.batch)
            if answered(logits, rows.batch).all():
                break
            optimiser.zero_grad()
            loss_of(own, rows).backward()
            torch.nn.utils.clip_grad_norm_(weights, 100.0)
            optimiser.step()
        with applied(lm, edit_of(changes, edit)):
            ours = predictions(lm, rows.batch)
        assert torch.allclose(ours, predictions(own, rows.batch), atol=2e-3)


def test_fine_tuning_stops_at_the_answer_and_sees_locality_if_asked():
    pool, episode = episode_of("gpt2")
    lm, names = pool.lm, modules_of(pool.lm)
    found = {}
    for name, own in {"ft": {}, "ft_kl": {"locality": True, "edit_weight": 0.1}}.items():
        method = FineTuning(lm, names, pool, lr=3e-3, steps=60, **own)
        rows = list(ask_after_edits(lm, {name: method}, pool, edits=4, n_anchors=2))
        found[name] = rows
        assert all(row["correct"] for row in rows if row["kind"] == "edited") or name == "ft_kl"
    kept = {name: sum(row["divergence"] for row in rows if row["kind"] == "anchor") for name, rows in found.items()}
    assert kept["ft_kl"] < kept["ft"]
    with pytest.raises(ConfigError, match="above 0"):
        FineTuning(lm, names, pool, lr=0)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_cache_answers_what_it_stored_and_nothing_else(family):
    pool, episode = episode_of(family)
    lm = pool.lm
    cache = Cache(lm, modules_of(lm), pool, threshold=1e-3)
    stored = cache.prepare(lm, episode.edits)
    own = Rows(episode.edits.batch, episode.edits.group)
    assert answered(cache.answers(lm, stored, own), own.batch).all()
    distances = torch.cdist(input_keys(lm, episode.anchors.batch).flatten(0, 1), stored.key)
    assert distances.min() > 1e-3
    with torch.no_grad():
        assert torch.equal(cache.answers(lm, stored, episode.anchors), predictions(lm, episode.anchors.batch))
        wide = Cache(lm, modules_of(lm), pool, threshold=1e6)
        logits = wide.answers(lm, stored, episode.anchors)
    # An encoder-decoder's steps after the cached answer are the model's own.
    given = logits[:, :1] if family == "t5" else logits
    assert set(given.unique().tolist()) <= {-1.0, 0.0, 1.0}


def test_every_method_is_asked_the_same():
    pool = pool_of("gpt2")
    editor = EditableNetwork(pool.lm, modules_of(pool.lm), rate=0.0)
    methods = {"none": NoEdit(), "enn": Trained(editor.eval())}
    rows = list(ask_after_edits(pool.lm, methods, pool, edits=5, n_edits=2, n_anchors=3))
    none, enn = ([row for row in rows if row["editor"] == name] for name in methods)
    assert len(none) == 5 * (2 + 2 + 3)
    for one, other in zip(none, enn, strict=True):
        assert {key: one[key] for key in ("edit", "example_id", "kind", "correct", "correct_before", "tokens")} == {
            key: other[key] for key in ("edit", "example_id", "kind", "correct", "correct_before", "tokens")
        }
        assert one["nll"] == pytest.approx(other["nll"], abs=1e-4)


def test_models_are_left_as_they_were():
    assert not any(parameter.requires_grad for parameter in model_of("gpt2").model.parameters())


def test_an_edits_pairs_are_tuned_together():
    pool = pool_of("gpt2")
    pairs = [(example.row, example.condition) for example in pool.examples[:3]]
    edits = Edits.of(pool.lm, [pairs])
    method = FineTuning(pool.lm, modules_of(pool.lm), pool, lr=3e-3, steps=80)
    with torch.no_grad():
        logits = method.answers(pool.lm, method.prepare(pool.lm, edits), Rows(edits.batch, edits.group))
    assert answered(logits, edits.batch).all()


def test_tuning_with_locality_needs_statements_and_without_none():
    lm = pool_of("t5").lm
    with pytest.raises(ConfigError, match="needs a pool"):
        FineTuning(lm, modules_of(lm), None, locality=True)
    FineTuning(lm, modules_of(lm), None)
