import random
from collections import Counter
from dataclasses import replace

import pytest
import torch

from shared.edits.factor_edits import LowRank
from shared.edits.gradient_factors import factor_rows, token_factors
from shared.errors import ConfigError, DataError, ModelError, NumericalError
from shared.inference.text_batches import predictions
from shared.learning.editor_training import TrainingSettings, outer_losses, train
from shared.learning.learned_editors import (
    LearnedEditor,
    build_learned,
    group_losses,
    linear_maps,
    load_learned,
    register_learned,
    save_learned,
)
from shared.model.models import LM
from shared.tests.episodes import model_of, modules_of, pool_of
from shared.tests.tiny import tiny_lm

SETTINGS = TrainingSettings(steps=6, edits_per_step=3, lr=1e-2, validate_every=2, validation_edits=4)


class ScaledGradient(LearnedEditor):
    """The least learned editor: a rate per matrix."""

    method = "scaled_gradient"

    def __init__(self, lm, modules, *, rate=0.1):
        super().__init__(modules, {"rate": rate})
        self.rates = torch.nn.Parameter(torch.full((len(modules),), float(rate)))

    def changes(self, lm, edits, *, training=False):
        """Return the gradients times the rates."""
        maps = linear_maps(lm.model, self.modules_edited)
        found = token_factors(
            maps, lambda: group_losses(predictions(lm, edits.batch), edits.batch, edits.group, edits.n_groups).sum()
        )
        rows = {name: factor_rows(*pair, edits.group, edits.n_groups) for name, pair in found.items()}
        return {
            name: LowRank(rows[name].padded(rows[name].u), -rate * rows[name].padded(rows[name].delta))
            for name, rate in zip(self.modules_edited, self.rates, strict=True)
        }


register_learned("scaled_gradient", ScaledGradient)


def editor_of(family="gpt2", **settings):
    lm = model_of(family)
    return build_learned("scaled_gradient", lm, modules_of(lm), settings)


@pytest.mark.parametrize("family", ["gpt2", "t5", "bert_one_logit"])
def test_a_step_is_the_mean_over_edits_done_one_at_a_time(family):
    pool, editor = pool_of(family), editor_of(family)
    rng = random.Random(0)
    episode = pool.draw(rng, 3, 1, 2)
    together = outer_losses(editor, pool.lm, episode)
    gradient = torch.autograd.grad(together.total(SETTINGS), editor.rates)[0]
    losses, gradients = [], []
    for place in range(3):
        one = pool.episode(
            random.Random(0),
            [[pool.examples.index(next(e for e in pool.examples if e.example_id == episode.example_ids[place][0]))]],
            2,
        )
        parts = {
            "edits": one.edits,
            "equivalents": _rows(episode.equivalents, place),
            "anchors": _rows(episode.anchors, place),
        }
        alone = outer_losses(editor, pool.lm, type(episode)(one.example_ids, **parts)).total(SETTINGS)
        losses.append(alone.item())
        gradients.append(torch.autograd.grad(alone, editor.rates)[0])
    assert together.total(SETTINGS).item() == pytest.approx(sum(losses) / 3, rel=1e-4)
    assert torch.allclose(gradient, sum(gradients) / 3, rtol=1e-3, atol=1e-5)


def _rows(rows, place):
    chosen = (rows.group == place).nonzero()[:, 0]
    return type(rows)(rows.batch.select(chosen), torch.zeros(len(chosen), dtype=torch.long))


def test_training_lowers_the_loss_and_keeps_the_best():
    pool, editor = pool_of("gpt2"), editor_of()
    made = train(editor, pool.lm, pool, pool, SETTINGS)
    assert [entry["step"] for entry in made["history"]] == [0, 2, 4, 6]
    assert made["best_loss"] == min(entry["total"] for entry in made["history"]) < made["history"][0]["total"]
    assert not editor.rates.requires_grad


def test_a_killed_training_ends_with_the_same_bytes(tmp_path):
    pool, whole, killed = pool_of("gpt2"), editor_of(), editor_of()
    train(whole, pool.lm, pool, pool, SETTINGS, checkpoint=tmp_path / "whole.safetensors")

    class Killed(Exception):
        pass

    changes, calls = killed.changes, []

    def dying(*arguments, **named):
        calls.append(named)
        if len(calls) == 9:
            raise Killed
        return changes(*arguments, **named)

    killed.changes = dying
    with pytest.raises(Killed):
        train(killed, pool.lm, pool, pool, SETTINGS, checkpoint=tmp_path / "part.safetensors")
    resumed = editor_of()
    made = train(resumed, pool.lm, pool, pool, SETTINGS, checkpoint=tmp_path / "part.safetensors")
    assert [entry["step"] for entry in made["history"]] == [0, 2, 4, 6]
    files = []
    for name, editor in (("one", whole), ("two", resumed)):
        save_learned(editor, pool.lm, tmp_path / name, {"steps": 6})
        files.append((tmp_path / name).read_bytes())
    assert files[0] == files[1]
    assert (tmp_path / "whole.safetensors").read_bytes() == (tmp_path / "part.safetensors").read_bytes()


def test_a_checkpoint_of_another_training_is_not_continued(tmp_path):
    pool = pool_of("gpt2")
    train(editor_of(), pool.lm, pool, pool, SETTINGS, checkpoint=tmp_path / "c", digest="one")
    made = train(editor_of(), pool.lm, pool, pool, SETTINGS, checkpoint=tmp_path / "c", digest="two")
    assert made["history"][0]["step"] == 0
    assert len(made["history"]) == 4


def test_training_stops_when_validation_no_longer_improves():
    pool, editor = pool_of("gpt2"), editor_of(rate=1e-3)
    still = TrainingSettings(steps=50, edits_per_step=2, lr=1e-12, validate_every=2, validation_edits=2, patience=2)
    made = train(editor, pool.lm, pool, pool, still)
    assert made["steps"] - made["best_step"] == 4


def test_an_editor_is_refused_for_another_model(tmp_path):
    lm, editor = model_of("gpt2"), editor_of()
    save_learned(editor, lm, tmp_path / "e.safetensors", {})
    again = load_learned(tmp_path / "e.safetensors", lm)
    assert torch.equal(again.rates, editor.rates)
    with pytest.raises(ModelError, match="was trained on the model with digest"):
        load_learned(tmp_path / "e.safetensors", tiny_lm("gpt2", seed=1))
    (tmp_path / "text").write_text("no tensors")
    with pytest.raises(DataError, match="not a readable safetensors file"):
        load_learned(tmp_path / "text", lm)


def test_what_cannot_be_learned_is_reported():
    pool, editor = pool_of("gpt2"), editor_of()
    editor.rates.data.fill_(float("nan"))
    with pytest.raises(NumericalError, match="step 0"):
        train(editor, pool.lm, pool, pool, SETTINGS)
    with pytest.raises(ConfigError, match="steps is 0"):
        TrainingSettings(steps=0)
    with pytest.raises(ConfigError, match="does not take these settings"):
        build_learned("scaled_gradient", pool.lm, modules_of(pool.lm), {"rat": 1})


def test_models_of_every_family_are_accepted():
    assert isinstance(model_of("t5"), LM)


def test_an_edit_of_several_pairs_never_contradicts_itself():
    pool = pool_of("t5")
    pool.examples = [replace(example, about=f"fact {place // 2}") for place, example in enumerate(pool.examples)]
    groups = pool.groups(random.Random(0), 6, 3)
    for group in groups:
        assert len({pool.examples[index].about for index in group}) == 3
    assert max(Counter(index for group in groups for index in group).values()) <= 3
    assert sorted(index for (index,) in pool.groups(random.Random(0), 8, 1)) == list(range(8))
    with pytest.raises(DataError, match="about 4 things"):
        pool.groups(random.Random(0), 1, 5)
