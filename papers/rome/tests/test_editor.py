"""What ROME promises, whatever the model: the theorem, exact undoing, independence of order and batch."""

import pytest
import torch

import papers.rome.baselines  # noqa: F401 (registers its methods)
from papers.rome.editor import RomeEditor, edit_layer
from papers.rome.hyperparams import RomeHyperparams
from papers.rome.key import subject_keys, update_direction
from papers.rome.tests import golden
from papers.rome.tests.golden import relative
from papers.rome.tests.oracle import edit_one
from papers.rome.update import key_for_direction, rank_one_delta, residuals
from papers.rome.value import target_values
from shared.data.requests import EditRequest
from shared.editing.editors import make_editor
from shared.edits.deltas import applied
from shared.errors import ConfigError, DataError, ModelError, NumericalError
from shared.fit.contexts import in_contexts
from shared.fit.keys import lookup_states
from shared.fit.moments import collect
from shared.fit.second_moment import SecondMoments
from shared.tests.tiny import FAMILIES, TEXTS, tiny_lm

CONTEXTS = ["{}", "Yes. {}", "So it goes. {}"]


def _request(case_id=0, subject="Anna Bell", target="French"):
    return EditRequest(case_id=case_id, subject=subject, prompt="Now {} speaks", target_new=target, target_true="Dutch")


def _requests():
    return [_request(0), _request(1, "Space Needle", "a city of rain"), _request(2, "Danielle", "piano")]


def _moments(lm, layers=(1,)):
    generator = torch.Generator().manual_seed(3)
    rows = torch.randn(4 * lm.arch.d_mlp, lm.arch.d_mlp, generator=generator, dtype=torch.float64)
    return SecondMoments(dict.fromkeys(layers, rows.T @ rows), len(rows))


def _editor(lm, **settings):
    defaults = {"layer": 1, "moments": _moments(lm), "contexts": CONTEXTS, "n_steps": 6, "lr": 0.1}
    return make_editor("rome", **(defaults | settings))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("handling", ["original", "r_rome", "p_rome"])
def test_the_edited_layer_maps_the_key_to_the_value(family, handling):
    """The key that the update divides by is mapped to its target within float32 rounding (2e-5 of the update)."""
    lm, requests = tiny_lm(family), _requests()
    settings = RomeHyperparams((1,), n_steps=6, lr=0.1, keys=handling)
    prompts = [in_contexts(lm, request, CONTEXTS, "subject_last") for request in requests]
    keys = subject_keys(lm, prompts, 1)
    values = target_values(lm, requests, prompts, 1, settings)
    key, residual = residuals(keys, values, handling)
    direction = update_direction(key_for_direction(keys, handling), _moments(lm), 1)
    edits = edit_layer(lm, requests, 1, settings, CONTEXTS, _moments(lm))
    torch.testing.assert_close(direction.norm(dim=1), torch.ones(len(requests)))
    module = lm.arch.mlp_out(1)
    for row, edit in enumerate(edits):
        before = module(key[row])
        with applied(lm, edit):
            after = module(key[row])
        scale = edit.deltas[0].norm() * key[row].norm()
        assert (after - before - residual[row]).norm() <= 2e-5 * scale
        other = torch.randn(len(key[row]), generator=torch.Generator().manual_seed(row))
        other -= (other @ direction[row]) * direction[row]
        unmoved = other @ edit.deltas[0].matrix()
        assert unmoved.norm() <= 2e-5 * edit.deltas[0].norm() * other.norm()


def test_the_plain_prompt_gets_the_value_inside_the_model():
    lm, request = tiny_lm(), _request()
    edit = _editor(lm).edit_each(lm, [request])[0]
    prompts = in_contexts(lm, request, CONTEXTS, "subject_last")
    value = target_values(lm, [request], [prompts], 1, RomeHyperparams((1,), n_steps=6, lr=0.1))[0].value
    with applied(lm, edit):
        inside = lookup_states(lm, prompts[:1], mlp=[1]).mlp[1][0]
    assert relative(inside, value) < 1e-4


def test_undoing_restores_every_bit():
    lm = tiny_lm()
    before = {name: parameter.clone() for name, parameter in lm.model.named_parameters()}
    editor = _editor(lm)
    with applied(lm, editor.edit(lm, _requests())):
        assert not torch.equal(lm.arch.mlp_out(1).weight, before["transformer.h.1.mlp.c_proj.weight"])
    assert all(torch.equal(before[name], parameter) for name, parameter in lm.model.named_parameters())


@pytest.mark.parametrize("family", FAMILIES)
def test_batched_equals_single_and_order_does_not_matter(family):
    lm, requests = tiny_lm(family), _requests()
    editor = _editor(lm, max_tokens=10_000)
    together = editor.edit_each(lm, requests)
    singles = [_editor(lm, max_tokens=1).edit_each(lm, [request])[0] for request in requests]
    backwards = editor.edit_each(lm, requests[::-1])[::-1]
    for one, two, three in zip(together, singles, backwards, strict=True):
        assert relative(one.deltas[0].matrix(), two.deltas[0].matrix()) < 1e-4
        assert relative(one.deltas[0].matrix(), three.deltas[0].matrix()) < 1e-4


def test_equals_the_one_at_a_time_edit():
    lm, case = golden.model(), golden.requests()[4]
    settings = RomeHyperparams((3,))
    inverse = torch.linalg.inv(golden.moments().moment(3)).float()
    theirs = edit_one(lm, case, golden.contexts(), 3, settings, inverse)
    ours = edit_layer(lm, [case], 3, settings, golden.contexts(), golden.moments())[0]
    assert relative(ours.deltas[0].right[0], theirs.right) < 1e-4
    assert relative(ours.deltas[0].left[:, 0], theirs.direction) < 1e-4
    assert ours.info["loss"] == pytest.approx(theirs.losses[-1], rel=1e-5)


def test_writing_what_is_known_already_changes_little():
    lm, moments = golden.model(), golden.moments()
    request = golden.requests()[4]
    known = request.model_copy(update={"target_new": request.target_true})
    settings = RomeHyperparams((1,))
    same, new = edit_layer(lm, [known, request], 1, settings, golden.contexts(), moments)
    assert same.info["update_norm"] < 0.3 * new.info["update_norm"]


def test_several_requests_are_edited_one_after_another():
    lm, requests = tiny_lm(), _requests()
    editor = _editor(lm)
    together = editor.edit(lm, requests)
    first = editor.edit(lm, requests[:1])
    with applied(lm, first):
        second = editor.edit(lm, requests[1:2])
    assert together.deltas[0].left.shape[1] == 3
    assert relative(together.deltas[0].left[:, 1], second.deltas[0].left[:, 0]) < 1e-4
    assert relative(together.deltas[0].right[1], second.deltas[0].right[0]) < 1e-3
    alone = editor.edit_each(lm, requests[1:2])[0]
    assert relative(alone.deltas[0].right[0], second.deltas[0].right[0]) > 1e-3


def test_several_layers_see_the_layers_below():
    lm, request = tiny_lm(), _request()
    settings = {"contexts": CONTEXTS, "n_steps": 4, "lr": 0.1, "moments": _moments(lm, (0, 1))}
    both = make_editor("rome", layers=[0, 1], **settings).edit_each(lm, [request])[0]
    lower = make_editor("rome", layer=0, **settings).edit(lm, [request])
    with applied(lm, lower):
        upper = make_editor("rome", layer=1, **settings).edit(lm, [request])
    assert [delta.module for delta in both.deltas] == ["transformer.h.0.mlp.c_proj", "transformer.h.1.mlp.c_proj"]
    assert relative(both.deltas[1].matrix(), upper.deltas[0].matrix()) < 1e-4


def test_without_moments_the_direction_is_the_key():
    lm, request = tiny_lm(), _request()
    edit = _editor(lm, moments=None, mom2_adjustment=False).edit_each(lm, [request])[0]
    keys = subject_keys(lm, [in_contexts(lm, request, CONTEXTS, "subject_last")], 1)
    assert relative(edit.deltas[0].left[:, 0], keys.mean_key[0] / keys.mean_key[0].norm()) < 1e-6


def test_moments_of_another_model_are_refused(tmp_path):
    lm = tiny_lm()
    (tmp_path / "corpus.txt").write_text("\n".join(TEXTS * 4))
    moments = collect(lm, tmp_path / "corpus.txt", [1])
    moments.save(tmp_path / "moments.safetensors")
    editor = _editor(lm, moments=tmp_path / "moments.safetensors", ridge=1e-3)
    assert editor.edit_each(lm, [_request()])[0].deltas
    with pytest.raises(ModelError, match="made from model"):
        editor.edit_each(tiny_lm(seed=1), [_request()])


def test_bad_settings_are_named():
    with pytest.raises(ConfigError, match="needs `moments`"):
        RomeEditor(layer=1)
    with pytest.raises(ConfigError, match="keys is 'x'"):
        RomeHyperparams((1,), keys="x")
    with pytest.raises(ConfigError, match="layers is"):
        RomeHyperparams(())
    with pytest.raises(ConfigError, match="v_lr"):
        make_editor("rome", layer=1, v_lr=0.5)
    with pytest.raises(ConfigError, match="plain"):
        RomeEditor(layer=1, mom2_adjustment=False, contexts=["Yes. {}"])


def test_bad_requests_are_named():
    lm = tiny_lm()
    glued = EditRequest(case_id=5, subject="Anna", prompt="the('{}') is", target_new="x")
    with pytest.raises(DataError, match="must end with a space"):
        _editor(lm).edit_each(lm, [glued])
    with pytest.raises(NumericalError, match="case 9"):
        rank_one_delta("m", torch.tensor([1.0, 0.0]), torch.ones(3), torch.tensor([0.0, 1.0]), "9")
    with pytest.raises(ModelError, match="layer 7"):
        _editor(lm, layer=7, moments=None, mom2_adjustment=False).edit_each(lm, [_request()])
