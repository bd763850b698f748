"""The editor for causal models: which values it changes and by what, alone, together and undone."""

import pytest
import torch

from papers.kn.attribution import AttributionSettings
from papers.kn.causal import CausalNetwork
from papers.kn.editor import KnowledgeNeuronEditor
from papers.kn.neurons import coarse
from papers.kn.tests.networks import clozes_of, network_of
from papers.kn.tests.oracle import attribute_slowly
from papers.kn.value_edits import erase, read_out, update
from shared.data.requests import read_counterfact
from shared.editing.editors import make_editor
from shared.edits.deltas import applied
from shared.errors import ConfigError, DataError
from shared.model.models import load_lm
from shared.provenance import REPOSITORY


@pytest.fixture(scope="module")
def lm():
    return load_lm(REPOSITORY / "tests/golden/model")


@pytest.fixture(scope="module")
def requests():
    return [case.request for case in read_counterfact(REPOSITORY / "tests/golden/requests.json")[:4]]


def state_of(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def test_an_edit_moves_the_chosen_values_by_embeddings(lm, requests):
    request = requests[0]
    editor = KnowledgeNeuronEditor(steps=6, site="activation", leading_space=True)
    cloze = CausalNetwork(lm).cloze(request.prompt.replace("{}", request.subject), request.target_true)
    [scores] = attribute_slowly(
        CausalNetwork(lm), [cloze], AttributionSettings(steps=6, grid="inclusive"), length=len(cloze.ids)
    )
    triplets = [(int(at[0]), int(at[1]), float(scores[tuple(at)])) for at in (scores > 0).nonzero()]
    neurons = coarse(triplets, 0.2, strict=True)
    edit = editor.edit_each(lm, [request])[0]
    assert edit.info["neurons"] == len(neurons) > 0
    before = state_of(lm.model)
    embedding = lm.arch.embedding.weight
    new = lm.tokenizer.encode(f" {request.target_new}")
    answer = lm.model(torch.tensor([cloze.ids])).logits[0, -1].argmax()
    with applied(lm, edit):
        for layer in range(lm.arch.n_layers):
            changed = lm.arch.mlp_out(layer).weight - before[f"transformer.h.{layer}.mlp.c_proj.weight"]
            wanted = torch.zeros_like(changed)
            wanted[[place for own, place in neurons if own == layer]] = embedding[new].sum(0) - 2 * embedding[answer]
            torch.testing.assert_close(changed, wanted, atol=2e-6, rtol=0)
    assert all(torch.equal(tensor, before[name]) for name, tensor in lm.model.state_dict().items())


def test_together_equals_one_by_one(lm, requests):
    editor = make_editor("kn", steps=6)
    for request, edit in zip(requests, editor.edit_each(lm, requests), strict=True):
        [alone] = editor.edit_each(lm, [request])
        assert [delta.module for delta in alone.deltas] == [delta.module for delta in edit.deltas]
        for one, other in zip(alone.deltas, edit.deltas, strict=True):
            torch.testing.assert_close(one.matrix(), other.matrix())
    joint = editor.edit(lm, requests)
    assert joint.info["neurons"] == sum(edit.info["neurons"] for edit in editor.edit_each(lm, requests))


def test_faults_are_explained(lm, requests):
    with pytest.raises(DataError, match="case 0: no target_true"):
        make_editor("kn").edit_each(lm, [requests[0].model_copy(update={"target_true": None})])
    with pytest.raises(ConfigError, match="threshold is 2"):
        make_editor("kn", threshold=2.0)


@pytest.mark.parametrize("kind", ["masked", "gpt2", "llama"])
def test_update_and_erase_are_undone_bit_for_bit(kind):
    network = network_of(kind)
    before = state_of(network.lm.model)
    [cloze] = clozes_of(network)[:1]
    neurons = [(0, 3), (2, 5), (2, 7)]
    for edit in (update(network, neurons, cloze.answer, 2, removed=1.0, added=8.0), erase(network, neurons)):
        with applied(network.lm, edit):
            changed = network.clean([cloze]).logits
            values = network.values(2)[[5, 7]].clone()
        assert not torch.equal(changed, network.clean([cloze]).logits)
        assert all(torch.equal(tensor, before[name]) for name, tensor in network.lm.model.state_dict().items())
    assert values.abs().max() < 1e-6


@pytest.mark.parametrize("kind", ["masked", "gpt2"])
def test_read_out_directions_are_slopes_of_scores(kind):
    network = network_of(kind)
    [cloze] = clozes_of(network)[:1]
    directions = read_out(network, cloze, [cloze.answer, 2])
    clean, step = network.clean([cloze]), 1e-2
    for token, direction in zip([cloze.answer, 2], directions, strict=True):
        unit = direction / direction.norm()
        moves = torch.stack([step * unit, -step * unit])[:, None]
        with torch.no_grad():
            up, down = network.resume(clean, network.n_layers - 1, moves)[:, 0, token]
        assert float((up - down) / (2 * step)) == pytest.approx(float(direction.norm()), rel=2e-2)
    edit = update(network, [(1, 4)], 7, 9, removed=1.0, added=8.0, words=directions)
    value, units = network.values(1)[4], directions / directions.norm(dim=1, keepdim=True)
    [delta] = edit.deltas
    wanted = value.norm() * (8 * units[1] - units[0])
    changed = delta.matrix() if delta.matrix().shape == network.values(1).shape else delta.matrix().T
    torch.testing.assert_close(changed[4], wanted, atol=1e-4, rtol=1e-4)


def test_update_adds_embeddings_at_the_values_own_length():
    network = network_of("masked")
    embedding, value = network.lm.arch.embedding.weight, network.values(1)[4]
    wanted = (
        value
        - value.norm() * embedding[7] / embedding[7].norm()
        + 8 * value.norm() * embedding[9] / embedding[9].norm()
    )
    with applied(network.lm, update(network, [(1, 4)], 7, 9, removed=1.0, added=8.0)):
        torch.testing.assert_close(network.values(1)[4], wanted, atol=1e-5, rtol=1e-5)
