import pytest
import torch
from transformers.pytorch_utils import Conv1D

from papers.mend.method import Mend
from papers.mend.normalisation import RunningNorm
from shared.errors import ConfigError, NumericalError
from shared.inference.text_batches import predictions
from shared.learning.learned_editors import Edits, group_losses, linear_maps
from shared.tests.episodes import FAMILIES, model_of, modules_of, pool_of

PLAIN = {"norm": False, "rank": 8}


def edits_of(family, groups):
    pool = pool_of(family)
    return Edits.of(pool.lm, [[(pool.examples[i].row, pool.examples[i].condition) for i in group] for group in groups])


def gradient_of(lm, edits, name):
    module = linear_maps(lm.model, [name])[name]
    weight = module.weight.requires_grad_()
    loss = group_losses(predictions(lm, edits.batch), edits.batch, edits.group, 1).sum()
    gradient = torch.autograd.grad(loss, weight)[0]
    weight.requires_grad_(False)
    return gradient if isinstance(module, Conv1D) else gradient.T


def matrix(change, edit=0):
    return change.left[edit].T @ change.right[edit]


@pytest.mark.parametrize("family", FAMILIES)
def test_at_the_identity_the_update_is_the_scaled_gradient(family):
    lm, edits = model_of(family), edits_of(family, [[0, 1]])
    editor = Mend(lm, modules_of(lm), rate=0.25, **PLAIN)
    with torch.no_grad():
        changes = editor.changes(lm, edits)
    for name, change in changes.items():
        expected = -0.25 * gradient_of(lm, edits, name)
        assert torch.allclose(matrix(change), expected, atol=1e-6 + 1e-5 * float(expected.abs().max()))


def test_at_the_identity_the_networks_change_no_bit():
    lm, edits = model_of("gpt2"), edits_of("gpt2", [[0], [1]])
    for reads in ("both", "u", "delta", "smaller"):
        editor = Mend(lm, modules_of(lm), reads=reads, **PLAIN)
        found = editor.factors(lm, edits)
        for name, (u, delta) in editor.transformed(found, training=False).items():
            assert torch.equal(u, found[name].u)
            assert torch.equal(delta, found[name].delta)


def test_every_parameter_gets_a_gradient_at_the_identity():
    lm, edits = model_of("gpt2"), edits_of("gpt2", [[0], [1]])
    editor = Mend(lm, modules_of(lm), rank=8)
    total = sum(
        change.left.square().sum() + change.right.square().sum()
        for change in editor.changes(lm, edits, training=True).values()
    )
    total.backward()
    for name, parameter in editor.named_parameters():
        # V and the scales only matter once U has left zero.
        assert (parameter.grad != 0).any() == (not name.endswith(("down", "scale"))), name


def test_the_sign_and_the_scale_are_as_named():
    lm, edits = model_of("gpt2"), edits_of("gpt2", [[0, 1]])
    with torch.no_grad():
        down, up, summed = (
            Mend(lm, modules_of(lm), **PLAIN | own).changes(lm, edits)
            for own in ({}, {"sign": "ascent"}, {"scale": "sum"})
        )
        alone = [Mend(lm, modules_of(lm), **PLAIN).changes(lm, edits_of("gpt2", [[i]])) for i in (0, 1)]
    for name in down:
        assert torch.equal(matrix(down[name]), -matrix(up[name]))
        assert torch.allclose(matrix(summed[name]), matrix(alone[0][name]) + matrix(alone[1][name]), atol=1e-7)


def test_edits_made_together_are_those_made_alone():
    lm = model_of("gpt2")
    editor = Mend(lm, modules_of(lm), rank=8)
    with torch.no_grad():
        editor.changes(lm, edits_of("gpt2", [[0], [1], [2]]), training=True)
        together = editor.changes(lm, edits_of("gpt2", [[0], [1], [2]]))
        for edit in range(3):
            alone = editor.changes(lm, edits_of("gpt2", [[edit]]))
            for name in alone:
                assert torch.allclose(matrix(alone[name]), matrix(together[name], edit), atol=1e-6)


def test_sharing_and_layers_decide_the_size():
    lm = model_of("gpt2")
    shared, own = (Mend(lm, modules_of(lm), rank=8, share=share) for share in (True, False))
    assert len(shared.networks) == 2
    assert len(own.networks) == 4
    assert all(block.scale is None for network in own.networks.values() for block in network.blocks)
    with torch.no_grad():
        for block in shared.networks["32x128"].blocks:
            block.offset[1] = 1.0
    found = shared.factors(lm, edits_of("gpt2", [[0]]))
    first, second = (name for name in modules_of(lm) if "c_fc" in name)
    shared.transformed(found, training=True)
    pairs = shared.transformed(found, training=False)
    assert (pairs[second][0] - shared.norms["32x128"][0](found[second].u)).min() > 1
    assert torch.equal(pairs[first][0], shared.norms["32x128"][0](found[first].u))


def test_statistics_are_those_of_one_row_at_a_time():
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(37, 5, generator=generator) * 3 + 1
    norm = RunningNorm(5)
    with pytest.raises(NumericalError, match="has seen 0 rows"):
        norm(rows)
    for block in rows.split([1, 9, 0, 20, 7]):
        norm.update(block)
    assert norm.mean.tolist() == pytest.approx(rows.double().mean(0).tolist())
    expected = (rows - rows.mean(0)) / (rows.std(0) + 1e-7)
    assert torch.allclose(norm(rows), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"sign": "up"}, "sign is 'up'"), ({"reads": "x"}, "reads is 'x'"), ({"init": "zero"}, "init 'zero'")],
)
def test_settings_are_checked(settings, message):
    with pytest.raises(ConfigError, match=message):
        Mend(model_of("gpt2"), modules_of(model_of("gpt2")), **settings)
