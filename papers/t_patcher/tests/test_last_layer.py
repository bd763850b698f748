"""Cached states against whole models of every family."""

from dataclasses import replace

import pytest
import torch

from papers.t_patcher.patches import Patches
from papers.t_patcher.tests.problems import FAMILIES, examples, model_of
from shared.editing.adapters import load_edit, save_edit, save_lora
from shared.edits.deltas import Edit, applied, merge, row_edits
from shared.errors import DataError, ModelError
from shared.inference.last_layer import LastLayer
from shared.inference.text_batches import IGNORED, collate, encode_row, predictions


def rows_of(family):
    lm = model_of(family)
    return lm, [encode_row(lm, example.source, example.target) for example in examples(family, 7, 3)]


def random_patches(d_model, count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    parts = (torch.randn(*shape, generator=generator) for shape in ((count, d_model), (count,), (count, d_model)))
    return Patches(*parts, tuple(range(count)))


def full_logits(lm, rows):
    batch = collate(lm, rows)
    with torch.no_grad():
        found = predictions(lm, batch)
    return torch.cat([found[line][batch.labels[line] != IGNORED] for line in range(len(rows))])


@pytest.mark.parametrize("family", FAMILIES)
def test_patched_states_give_the_patched_models_logits(family):
    lm, rows = rows_of(family)
    layer = LastLayer(lm)
    states = layer.observe(rows, max_tokens=40)
    patches = random_patches(states.query.shape[1], 4)
    bare = full_logits(lm, rows)
    torch.testing.assert_close(layer.logits(states.summed), bare, atol=1e-5, rtol=1e-5)
    edit = Edit((), kind="neurons", neurons=(layer.neurons(patches.key, patches.bias, patches.value),))
    with applied(lm, edit):
        whole = full_logits(lm, rows)
    cached = layer.logits(patches.patched(states.query, states.summed, layer.activation))
    torch.testing.assert_close(cached, whole, atol=2e-5, rtol=2e-5)
    assert (whole - bare).abs().max() > 1e-2
    assert torch.equal(full_logits(lm, rows), bare)


@pytest.mark.parametrize("family", FAMILIES)
def test_rows_carry_their_own_neurons(family):
    lm, rows = rows_of(family)
    layer = LastLayer(lm)
    edits = []
    for count in (1, 3):
        patches = random_patches(lm.arch.d_model, count, seed=count)
        neurons = layer.neurons(patches.key, patches.bias, patches.value)
        edits.append(Edit((), kind="neurons", neurons=(neurons,)))
    bare = [full_logits(lm, [row]) for row in rows[:3]]
    alone = []
    for edit, row in zip(edits, rows, strict=False):
        with applied(lm, edit):
            alone.append(full_logits(lm, [row]))
    with row_edits(lm, edits) as carried:
        carried.select([0, 1, None])
        together = full_logits(lm, rows[:3])
    torch.testing.assert_close(together, torch.cat([*alone, bare[2]]), atol=2e-4, rtol=1e-4)
    with applied(lm, merge(edits)):
        both = full_logits(lm, rows)
    with applied(lm, edits[0]), applied(lm, edits[1]):
        nested = full_logits(lm, rows)
    torch.testing.assert_close(both, nested, atol=2e-4, rtol=1e-4)


def test_neurons_survive_the_disk_and_are_no_change_of_weights(tmp_path):
    lm = model_of("gpt2")
    patches = random_patches(32, 1)
    edit = Edit((), kind="neurons", neurons=(LastLayer(lm).neurons(patches.key, patches.bias, patches.value),))
    save_edit(edit, tmp_path / "edit.safetensors")
    (again,) = load_edit(tmp_path / "edit.safetensors").neurons
    assert (again.up, again.down, again.activation) == tuple(
        getattr(edit.neurons[0], name) for name in ("up", "down", "activation")
    )
    assert all(torch.equal(getattr(again, name), getattr(edit.neurons[0], name)) for name in ("key", "bias", "value"))
    with pytest.raises(ModelError, match="neurons"):
        save_lora(lm, edit, tmp_path / "adapter")


def test_neurons_of_another_model_are_refused():
    lm, rows = rows_of("gpt2")
    other = LastLayer(model_of("t5"))
    patches = random_patches(16, 1)
    edit = Edit((), kind="neurons", neurons=(other.neurons(patches.key, patches.bias, patches.value),))
    with pytest.raises(ModelError, match="another model"), applied(lm, edit):
        full_logits(lm, rows)


def test_right_means_the_whole_answer():
    lm, rows = rows_of("t5")
    layer = LastLayer(lm)
    states = layer.observe(rows)
    assert not layer.right(states).all()
    told = layer.predicted(states)
    made = replace(states, label=told.clone())
    assert layer.right(made).all()
    made.label[0] += 1
    assert layer.right(made).tolist() == [False] + [True] * 6
    assert layer.right(made.of_rows([1, 0])).tolist() == [True, False]


def test_patches_are_kept_removed_and_read_back(tmp_path):
    patches = random_patches(8, 3)
    patches.save(tmp_path / "patches.safetensors", model="m")
    read, info = Patches.load(tmp_path / "patches.safetensors")
    assert info == {"model": "m"}
    assert read.owner == (0, 1, 2)
    assert torch.equal(read.value, patches.value)
    assert patches.without([1]).owner == (0, 2)
    x = torch.randn(5, 8)
    none = patches.without([0, 1, 2])
    assert none.patched(x, x, torch.relu) is x
    with pytest.raises(DataError, match="no patch was made for"):
        patches.without([7])
