"""Suppressing and amplifying: equal to whole passes of the model, and without trace."""

import pytest
import torch

from papers.kn.interventions import scaled_logits, scaled_probabilities
from papers.kn.network import multiplied
from papers.kn.tests.networks import clozes_of, network_of
from shared.model.hooks import replace_inputs

SETS = [[(0, 1), (0, 2), (2, 5)], [(1, 0)], []]
KINDS = ["masked", "gpt2", "gptj", "gpt_neox", "llama"]


def slowly(network, cloze, neurons, factor):
    def change(layer, keys):
        keys = keys.clone()
        for at, neuron in neurons:
            if at == layer:
                keys[0, cloze.position, neuron] *= factor
        return keys

    modules = [network.lm.arch.mlp_out(layer) for layer in range(network.n_layers)]
    with torch.no_grad(), replace_inputs(modules, change):
        logits = network.lm.model(torch.tensor([cloze.ids])).logits
    return logits[0, cloze.position].softmax(-1)[cloze.answer].item()


@pytest.mark.parametrize("kind", KINDS)
def test_many_changes_at_once_equal_one_after_another(kind):
    network = network_of(kind)
    clozes = clozes_of(network)
    factors = [0.0, 2.0]
    for max_tokens in (1, 4096):
        found = scaled_probabilities(network, clozes, [SETS] * len(clozes), factors, max_tokens=max_tokens)
        for cloze, row in zip(clozes, found, strict=True):
            wanted = [slowly(network, cloze, neurons, factor) for factor in factors for neurons in SETS]
            assert row.tolist() == pytest.approx(wanted, abs=2e-6)
            assert abs(row[0] - row[2]) > 1e-6


@pytest.mark.parametrize("kind", ["masked", "gpt2"])
def test_doubling_then_halving_restores_every_bit(kind):
    network = network_of(kind)
    clean = network.clean(clozes_of(network)[:1])
    ones = torch.ones(1, 1, network.n_layers, network.d_mlp)
    twice = ones.clone()
    twice[..., ::2] = 2
    unchanged = network.scaled(clean, ones)
    positions = None if kind == "gpt2" else torch.tensor([clean.clozes[0].position])
    with multiplied(network, twice.transpose(0, 1), "activation", positions):
        assert torch.equal(network.scaled(clean, 1 / twice), unchanged)
        assert not torch.equal(network.scaled(clean, ones), unchanged)
    assert torch.equal(network.scaled(clean, ones), unchanged)
    torch.testing.assert_close(unchanged[0], clean.logits, atol=1e-5, rtol=1e-4)


def test_groups_hold_equal_lengths_within_their_bound():
    network = network_of("masked")
    clozes = clozes_of(network)
    groups = [group for group, _, _ in scaled_logits(network, clozes, [SETS] * 4, [0.0], max_tokens=60)]
    assert sorted(index for group in groups for index in group) == [0, 1, 2, 3]
    for group in groups:
        assert len({len(clozes[index].ids) for index in group}) == 1
        assert len(group) == 1 or 3 * len(group) * len(clozes[group[0]].ids) <= 60
