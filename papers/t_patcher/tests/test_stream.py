"""Streams of edits: what they keep, what they leave alone, and what a killed run goes on with."""

import pytest
import torch

from papers.t_patcher.problem import folds_of
from papers.t_patcher.settings import PatchSettings
from papers.t_patcher.stream import Editing
from papers.t_patcher.tests.problems import problem_of
from shared.edits.deltas import Edit, applied
from shared.errors import DataError
from shared.inference.text_batches import collate, predictions

# A random model's inputs are hard to tell apart: the memory weighs little here.
QUICK = PatchSettings(max_steps=150, first_check=20, check_every=10, max_patches=20, memory_top=20, memory_weight=0.01)


def same(left, right):
    return all(torch.equal(getattr(left, name), getattr(right, name)) for name in ("key", "bias", "value"))


@pytest.mark.parametrize(
    ("family", "memory_loss"),
    [
        ("t5", "full"),
        ("t5", "none"),
        ("t5", "kl"),
        ("t5", "first_only"),
        ("bert_one_logit", "full"),
        ("bert_one_logit", "kl"),
    ],
)
def test_mistakes_are_mended_one_after_another(family, memory_loss):
    problem = problem_of(family, edits=4)
    settings = PatchSettings(**{**vars(QUICK), "memory_loss": memory_loss, "kl_samples": 5})
    editing = Editing(problem, [[0, 1], [2, 3]], settings)
    rounds = list(editing.run())
    made = [edit for stream in editing.streams for edit in stream.edits]
    assert made
    assert rounds == list(range(1, len(rounds) + 1))
    if memory_loss == "none":
        assert all(edit.right for edit in made)
    for stream in editing.streams:
        assert len(stream.patches) == sum(edit.patches for edit in stream.edits)
        retained = editing.retained(stream)
        assert {"train", "test"} <= set(retained)
        assert all(0 <= share <= 1 for share in retained.values())
    if family == "bert_one_logit":
        assert all(edit.patches == 1 for edit in made)


@pytest.mark.parametrize("family", ["t5", "bart"])
def test_a_committed_patch_leaves_inactive_examples_alone(family):
    problem = problem_of(family)
    editing = Editing(problem, [[0, 1, 2]], QUICK)
    list(editing.run())
    [stream] = editing.streams
    patches = stream.patches
    # An input that every neuron is far from responding to.
    far = torch.linalg.lstsq(patches.key, (-20 - patches.bias)[:, None]).solution.T
    assert patches.pre_activation(far).max() < -15
    summed = problem.test.summed[:1]
    assert torch.equal(patches.patched(far, summed, problem.layer.activation), summed)
    response = problem.layer.activation(patches.pre_activation(problem.test.query))
    moved = editing.current(stream, problem.test) - problem.test.summed
    assert torch.allclose(moved, response @ patches.value, atol=1e-3)
    least = response.abs().amax(1).argmin()
    assert moved[least].norm() <= response[least].abs() @ patches.value.norm(dim=1) + 1e-4


def test_the_memory_loss_keeps_patches_quiet_on_what_is_remembered():
    problem = problem_of("t5")
    loudest = {}
    for memory_loss in ("full", "none"):
        editing = Editing(problem, [[0, 1, 2]], PatchSettings(**{**vars(QUICK), "memory_loss": memory_loss}))
        list(editing.run())
        loudest[memory_loss] = editing.streams[0].patches.pre_activation(problem.memory).exp().mean()
    assert loudest["full"] < loudest["none"]


def test_removing_all_patches_restores_the_model_bit_for_bit():
    problem = problem_of("t5")
    lm, layer = problem.layer.lm, problem.layer
    editing = Editing(problem, [[0, 1, 2]], QUICK)
    weights = {name: value.clone() for name, value in lm.model.state_dict().items()}
    batch = collate(lm, problem.edit_rows)
    before = predictions(lm, batch)
    list(editing.run())
    patches = editing.streams[0].patches
    neurons = layer.neurons(patches.key, patches.bias, patches.value)
    with applied(lm, Edit((), kind="neurons", neurons=(neurons,))):
        assert not torch.equal(predictions(lm, batch), before)
    assert torch.equal(predictions(lm, batch), before)
    assert all(torch.equal(value, weights[name]) for name, value in lm.model.state_dict().items())
    none = patches.without(sorted(set(patches.owner)))
    assert torch.equal(none.patched(problem.test.query, problem.test.summed, layer.activation), problem.test.summed)


def test_a_killed_stream_goes_on_with_the_same_patches(tmp_path):
    problem, killed = problem_of("t5"), 1
    orders = [[0, 1, 2], [3, 4, 5]]
    whole = Editing(problem, orders, QUICK)
    list(whole.run())
    first = Editing(problem, orders, QUICK, folder=tmp_path)
    for done in first.run():
        if done == killed:
            break
    again = Editing(problem, orders, QUICK, folder=tmp_path)
    assert again.rounds == killed
    list(again.run())
    for ours, theirs in zip(again.streams, whole.streams, strict=True):
        assert same(ours.patches, theirs.patches)
        assert ours.edits == theirs.edits
    finished = Editing(problem, orders, QUICK, folder=tmp_path)
    assert list(finished.run()) == []
    assert same(finished.streams[1].patches, whole.streams[1].patches)
    with pytest.raises(DataError, match="belongs to another experiment"):
        Editing(problem, orders, PatchSettings(), folder=tmp_path)


@pytest.mark.parametrize("family", ["t5", "gpt2"])
def test_an_edit_tells_which_wordings_its_patches_reach(family):
    problem = problem_of(family, edits=1)
    editing = Editing(problem, [[0]], QUICK)
    next(editing.run())
    [stream] = editing.streams
    [edit] = stream.edits
    own, patches = problem.edit.of_rows([0]), stream.patches
    wrong = (problem.layer.predicted(own) != own.label).nonzero()[:, 0].tolist()
    active = apart = 0
    for row in problem.rephrases_of[0]:
        states = problem.rephrased.of_rows([row])
        pairs = [(states.query[place], own.query[place], index) for index, place in enumerate(wrong)]
        active += all(float(one @ patches.key[index] + patches.bias[index]) > 0 for one, _, index in pairs)
        apart += all(float(one @ mistake) > float((problem.memory @ mistake).max()) for one, mistake, _ in pairs)
    assert (edit.active, edit.apart, edit.patches) == (active, apart, len(wrong))
    cosines = [
        torch.cosine_similarity(key, own.query[place], dim=0) for key, place in zip(patches.key, wrong, strict=True)
    ]
    assert edit.alignment == pytest.approx(float(torch.stack(cosines).mean()), abs=1e-5)


def test_folds_hold_each_example_once():
    folds = folds_of(11, 3, seed=1)
    assert sorted(sum(folds, [])) == list(range(11))
    assert sorted(map(len, folds)) == [3, 4, 4]
    assert folds == folds_of(11, 3, seed=1) != folds_of(11, 3, seed=2)
    with pytest.raises(DataError, match="cannot make 12 folds"):
        folds_of(11, 12, seed=0)
