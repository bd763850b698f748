"""Attributions add up, do not depend on how they are batched, and equal those of whole padded passes."""

import pytest
import torch

from papers.kn.attribution import AttributionSettings, attribute, strongest
from papers.kn.interventions import scaled_logits
from papers.kn.tests.networks import clozes_of, network_of
from papers.kn.tests.oracle import attribute_slowly
from shared.errors import ConfigError, ModelError
from shared.tests.tiny import FAMILIES

NETWORKS = ("masked", *FAMILIES)


def attributions(network, clozes, **settings):
    found = dict(attribute(network, clozes, AttributionSettings(**settings)))
    return [found[index] for index in range(len(clozes))]


@pytest.mark.parametrize(
    ("kind", "grid"), [*((kind, "left") for kind in NETWORKS), ("masked", "right"), ("gpt2", "inclusive")]
)
def test_batched_equals_one_layer_and_step_at_a_time(kind, grid):
    network = network_of(kind)
    clozes = clozes_of(network)
    found = attributions(network, clozes, steps=3, grid=grid)
    wanted = attribute_slowly(network, clozes, AttributionSettings(steps=3, grid=grid), length=20)
    for ours, theirs in zip(found, wanted, strict=True):
        scale = theirs.abs().max().item()
        assert scale > 1e-6
        torch.testing.assert_close(ours.scores, theirs, atol=2e-5 * scale, rtol=0)


@pytest.mark.parametrize("kind", NETWORKS)
def test_completeness(kind):
    network = network_of(kind)
    clozes = clozes_of(network)
    found = attributions(network, clozes, steps=400, grid="inclusive")
    for cloze, one in zip(clozes, found, strict=True):
        for layer in range(network.n_layers):
            every = [(layer, neuron) for neuron in range(network.d_mlp)]
            [(_, clean, changed)] = scaled_logits(network, [cloze], [[every]], [0.0])
            difference = one.probability - changed[0, 0].softmax(-1)[cloze.answer].item()
            assert one.scores[layer].sum().item() == pytest.approx(difference, abs=2e-2 * max(one.probability, 1e-3))
            assert clean.probabilities[0].item() == pytest.approx(one.probability, rel=1e-5)


@pytest.mark.parametrize("kind", ["masked", "gpt2"])
def test_left_sums_converge_to_the_integral(kind):
    network = network_of(kind)
    clozes = clozes_of(network)[:1]
    [exact] = attributions(network, clozes, steps=600, grid="inclusive")
    errors = [
        (attributions(network, clozes, steps=steps)[0].scores - exact.scores).abs().max().item() for steps in (10, 40)
    ]
    assert errors[1] < 0.4 * errors[0]


@pytest.mark.parametrize("site", ["activation", "preactivation"])
@pytest.mark.parametrize("kind", ["masked", "gpt2"])
def test_batches_change_nothing(kind, site):
    network = network_of(kind)
    clozes = clozes_of(network)
    whole = attributions(network, clozes, steps=6, site=site)
    for max_tokens in (1, 40):
        for one, other in zip(
            whole, attributions(network, clozes, steps=6, site=site, max_tokens=max_tokens), strict=True
        ):
            scale = one.scores.abs().max().item()
            torch.testing.assert_close(one.scores, other.scores, atol=1e-5 * scale, rtol=0)
            assert [n[:2] for n in strongest(one.scores, 0.2)] == [n[:2] for n in strongest(other.scores, 0.2)]


def test_settings_are_checked():
    with pytest.raises(ConfigError, match="grid 'middle' is unknown; choose one of left"):
        AttributionSettings(grid="middle")
    with pytest.raises(ConfigError, match="site 'output'"):
        AttributionSettings(site="output")
    network = network_of("llama")
    with pytest.raises(ModelError, match="no plain activation function"):
        attributions(network, clozes_of(network)[:1], site="preactivation")


def test_strongest():
    assert strongest(torch.tensor([[0.05, 1.0], [0.1, -3.0]])) == [
        (0, 1, 1.0),
        (1, 0, pytest.approx(0.1)),
    ]
    assert strongest(torch.tensor([[-1.0, -0.05]])) == []
