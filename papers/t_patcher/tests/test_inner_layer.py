"""Patches in an earlier layer: their predictions are those of the whole model."""

import pytest
import torch

from papers.t_patcher.inner_layer import InnerLayer
from papers.t_patcher.patches import Patches
from papers.t_patcher.problem import Problem
from papers.t_patcher.settings import PatchSettings
from papers.t_patcher.stream import Editing
from papers.t_patcher.tests.problems import examples, model_of, problem_of
from shared.edits.deltas import Edit, applied
from shared.errors import ConfigError
from shared.inference.text_batches import collate, encode_row, predictions


@pytest.mark.parametrize("family", ["t5", "bart"])
def test_predictions_are_those_of_the_patched_model(family):
    lm = model_of(family)
    layer = InnerLayer(lm, 0)
    rows = [encode_row(lm, one.source, one.target) for one in examples(family, 3, 5)]
    states = layer.observe(rows)
    generator = torch.Generator().manual_seed(0)
    width = states.query.shape[1]
    key, value = torch.randn(2, 2, width, generator=generator)
    patches = Patches(key, torch.zeros(2), value, (0, 0))
    summed = patches.patched(states.query, states.summed, layer.activation)
    neurons = layer.neurons(patches.key, patches.bias, patches.value)
    with applied(lm, Edit((), kind="neurons", neurons=(neurons,))), torch.no_grad():
        whole = predictions(lm, collate(lm, rows))
    cached = torch.nn.utils.rnn.pad_sequence([summed[states.row == row] for row in range(3)], batch_first=True)
    with torch.no_grad():
        found = layer.answers(cached, rows)
    for line, row in enumerate(rows):
        torch.testing.assert_close(found[line, : len(row.target)], whole[line, : len(row.target)], atol=1e-4, rtol=1e-4)
    assert torch.equal(
        layer.predicted(states, summed),
        torch.cat([whole[line, : len(row.target)].argmax(-1) for line, row in enumerate(rows)]),
    )


def test_mistakes_are_mended_there():
    outer = problem_of("t5", edits=3)
    problem = Problem(outer.layer.lm, outer.sources, layer=0)
    settings = PatchSettings(max_steps=300, first_check=20, check_every=10, max_patches=20, memory_loss="none")
    editing = Editing(problem, [[0, 1, 2]], settings)
    list(editing.run())
    assert editing.streams[0].edits
    assert all(edit.right for edit in editing.streams[0].edits)


def test_only_inner_layers_of_encoder_decoders():
    with pytest.raises(ConfigError, match="need an encoder-decoder"):
        InnerLayer(model_of("gpt2"), 0)
    with pytest.raises(ConfigError, match="inner layers"):
        InnerLayer(model_of("t5"), 7)
    outer = problem_of("t5", edits=3)
    problem = Problem(outer.layer.lm, outer.sources, layer=0)
    with pytest.raises(ConfigError, match="last layer"):
        Editing(problem, [[0]], PatchSettings(memory_loss="kl"))
