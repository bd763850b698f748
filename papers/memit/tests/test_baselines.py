"""FT-W: what it tunes, and its three readings of weight decay."""

import pytest
import torch

from papers.memit.baselines import decay_for, linear_modules
from papers.memit.tests import facts
from shared.editing.editors import make_editor
from shared.errors import ConfigError
from shared.tests.tiny import FAMILIES, tiny_lm


@pytest.mark.parametrize("family", FAMILIES)
def test_all_linear_maps_of_the_block_are_tuned(family):
    lm = tiny_lm(family)
    edit = make_editor("ft_w", layers=[1], n_steps=2, lr=1e-3).edit(lm, facts.requests())
    parts = dict(lm.arch.block(1).named_modules())
    expected = {lm.arch.name_of(part) for part in parts.values() if getattr(part, "weight", torch.zeros(1)).ndim == 2}
    assert {delta.module for delta in edit.deltas} == expected
    assert {lm.arch.name_of(module) for module in linear_modules(lm.arch, 1)} == expected
    assert edit.info["loss"] < edit.info["loss_first"]


def test_the_released_decay_is_none_and_the_intended_one_falls_with_the_number_of_edits():
    assert decay_for("released", 10) == 0
    assert decay_for("power_law", 1) == pytest.approx(1.17, abs=5e-3)
    assert decay_for("power_law", 10_000) == pytest.approx(3.86e-4, abs=5e-7)
    assert decay_for(5e-4, 7) == 5e-4
    with pytest.raises(ConfigError, match="expected a number, released or power_law"):
        make_editor("ft_w", layers=[1], weight_decay="intended")


def test_decay_shrinks_the_weights():
    lm, norms = tiny_lm(), []
    for decay in ("released", 3.0):
        edit = make_editor("ft_w", layers=[1], n_steps=3, lr=1e-3, weight_decay=decay).edit(lm, facts.requests())
        delta = next(delta for delta in edit.deltas if delta.module.endswith("mlp.c_proj"))
        norms.append(float((lm.arch.mlp_out(1).weight + delta.dense).norm()))
    assert norms[1] < norms[0]


def test_each_request_alone_has_the_decay_of_one():
    lm, requests = tiny_lm(), facts.requests()[:2]
    editor = make_editor("ft_w", layers=[1], n_steps=2, lr=1e-3, weight_decay="power_law")
    alone = editor.edit(lm, requests[1:])
    each = editor.edit_each(lm, requests)[1]
    for ours, theirs in zip(each.deltas, alone.deltas, strict=True):
        torch.testing.assert_close(ours.dense, theirs.dense, rtol=1e-2, atol=1e-5)
