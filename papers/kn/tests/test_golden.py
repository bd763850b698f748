"""Agreement with the re-implementation for GPT models, whose numbers stand in tests/golden/kn."""

from functools import cache

import pytest
import torch

from papers.kn.attribution import AttributionSettings, attribute, strongest
from papers.kn.causal import CausalNetwork
from papers.kn.interventions import scaled_probabilities
from papers.kn.network import PREACTIVATION
from papers.kn.neurons import coarse
from shared.model.models import load_lm
from shared.provenance import REPOSITORY
from shared.records import read_json, read_tensors

GOLDEN = REPOSITORY / "tests/golden"
SETTINGS = AttributionSettings(grid="inclusive", site="preactivation")
CASES = ("case00", "case02")


@cache
def network():
    return CausalNetwork(load_lm(GOLDEN / "model"))


def cloze(record):
    return network().cloze(record["prompt"], record["ground_truth"])


@pytest.mark.parametrize("case", CASES)
def test_attributions_and_neurons(case):
    record, wanted = read_json(GOLDEN / f"kn/{case}.json"), read_tensors(GOLDEN / f"kn/{case}.safetensors")
    [(_, found)] = attribute(network(), [cloze(record)], SETTINGS)
    scale = wanted["scores"].abs().max().item()
    assert list(cloze(record).ids) == record["input_ids"]
    assert found.probability == pytest.approx(record["p_ground_truth"], abs=1e-5)
    torch.testing.assert_close(found.scores, wanted["scores"], atol=1e-5 * scale, rtol=0)
    torch.testing.assert_close(found.neurons, wanted["preactivation"], atol=2e-5, rtol=1e-5)
    torch.testing.assert_close(found.neurons, wanted["scores_max_activations"], atol=2e-5, rtol=1e-5)
    assert coarse(strongest(found.scores), 0.2, strict=True) == [tuple(pair) for pair in record["coarse_neurons_t0p2"]]


def test_suppress_and_amplify():
    record = read_json(GOLDEN / "kn/case00.json")
    neurons = [tuple(pair) for pair in record["coarse_neurons_t0p2"]]
    for factor, kind in ((0.0, "suppress"), (2.0, "enhance")):
        found = scaled_probabilities(network(), [cloze(record)], [[neurons]], [factor], site=PREACTIVATION)
        assert found[0, 0].item() == pytest.approx(record[kind]["after"]["gt_prob"], abs=1e-5)
