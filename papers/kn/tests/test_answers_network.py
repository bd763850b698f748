"""Knowledge neurons of an encoder-decoder: equal to whole passes of the model, one layer and step at a time."""

import pytest
import torch

from papers.kn.answers_network import AnswerNetwork
from papers.kn.attribution import AttributionSettings, attribute
from papers.kn.editor import KnowledgeNeuronEditor
from papers.kn.interventions import scaled_logits
from papers.kn.neurons import coarse
from shared.data.requests import EditRequest
from shared.edits.deltas import applied
from shared.errors import DataError, ModelError
from shared.model.hooks import capture, replace_inputs
from shared.tests.families import tiny_model
from shared.traces.integrated_gradients import riemann

ASKED = [("who plays the piano ?", "anna bell"), ("town of rain", "red"), ("who works as a doctor ?", "two rain")]
REQUEST = EditRequest(
    case_id=4, subject="piano", prompt="who plays the {} ?", target_new="two rain", target_true="bell"
)


def network_of(family):
    return AnswerNetwork(tiny_model(family))


def clozes_of(network):
    return [cloze for question, answer in ASKED for cloze in network.answer_clozes(question, answer)]


def predicted(network, cloze, module=None, keys=None):
    """Return the last step's probabilities from one whole pass, with a layer's neurons there set to `keys`."""
    ids = torch.tensor([cloze.ids])
    inputs = {"input_ids": ids[:, : cloze.read], "decoder_input_ids": ids[:, cloze.read :]}

    def put(_index, found):
        return torch.cat([found[:, :-1], keys[None, None]], 1)

    with replace_inputs([module] if module is not None else [], put):
        return network.lm.model(**inputs, use_cache=False).logits[0, -1].softmax(-1)


def slowly(network, cloze, settings):
    nodes, weights = riemann(settings.steps, settings.grid)
    scores = []
    for layer in range(network.n_layers):
        module = network.lm.arch.decoder.mlp_out(layer)
        with torch.no_grad(), capture({"keys": module}, inputs=True) as seen:
            predicted(network, cloze)
        end, slope = seen["keys"][0, -1], 0
        for node, weight in zip(nodes, weights, strict=True):
            with torch.enable_grad():
                scaled = (node * end).requires_grad_()
                probability = predicted(network, cloze, module, scaled)[cloze.answer]
            slope = slope + weight * torch.autograd.grad(probability, scaled)[0]
        scores.append(end * slope)
    return torch.stack(scores)


@pytest.mark.parametrize("family", ["t5", "bart"])
def test_batched_equals_one_layer_and_step_at_a_time(family):
    network = network_of(family)
    clozes, settings = clozes_of(network), AttributionSettings(steps=3, grid="inclusive")
    found = dict(attribute(network, clozes, settings))
    assert sorted(found) == [0, 1, 2, 3, 4]
    for index, cloze in enumerate(clozes):
        wanted = slowly(network, cloze, settings)
        scale = wanted.abs().max().item()
        assert scale > 1e-7
        torch.testing.assert_close(found[index].scores, wanted, atol=2e-5 * scale, rtol=0)
        assert found[index].probability == pytest.approx(predicted(network, cloze)[cloze.answer].item(), rel=1e-4)


def test_each_token_is_asked_behind_those_before_it():
    network = network_of("t5")
    first, second = network.answer_clozes("who plays the piano ?", "anna bell")
    start = network.lm.model.config.decoder_start_token_id
    anna, bell = network.lm.tokenizer.encode("anna bell", add_special_tokens=False)
    assert first.ids[first.read :] == (start,)
    assert first.answer == anna
    assert second.ids[second.read :] == (start, anna)
    assert second.answer == bell
    with pytest.raises(DataError, match="has 2 tokens"):
        network.cloze("who plays the piano ?", "anna bell")
    assert network.encode("[X] is [Y]", "anna", "red") is None
    assert network.gap("anna is", ".") is None


def test_silenced_neurons_equal_a_whole_pass_without_them():
    network = network_of("t5")
    [cloze] = network.answer_clozes("town of rain", "red")
    neurons = [(1, neuron) for neuron in range(network.d_mlp)]
    [(_, clean, changed)] = scaled_logits(network, [cloze], [[neurons]], [0.0])
    module = network.lm.arch.decoder.mlp_out(1)
    wanted = predicted(network, cloze, module, torch.zeros(network.d_mlp))
    torch.testing.assert_close(changed[0, 0].softmax(-1), wanted, atol=1e-6, rtol=1e-5)
    assert not torch.allclose(clean.logits[0].softmax(-1), wanted, atol=1e-4)


def test_an_edit_moves_the_decoders_values_and_is_undone():
    network = network_of("t5")
    lm, before = network.lm, {name: value.clone() for name, value in network.lm.model.state_dict().items()}
    [edit] = KnowledgeNeuronEditor(steps=4, site="activation").edit_each(lm, [REQUEST])
    [cloze] = network.answer_clozes("who plays the piano ?", "bell")
    scores = slowly(network, cloze, AttributionSettings(steps=4, grid="inclusive"))
    triplets = [(int(at[0]), int(at[1]), float(scores[tuple(at)])) for at in (scores > 0).nonzero()]
    neurons = coarse(triplets, 0.2, strict=True)
    assert edit.info["neurons"] == len(neurons) > 0
    embedding = lm.arch.embedding.weight
    new = lm.tokenizer.encode("two rain", add_special_tokens=False)
    direction = embedding[new].sum(0) - 2 * embedding[int(predicted(network, cloze).argmax())]
    with applied(lm, edit):
        for layer in range(network.n_layers):
            module = lm.arch.decoder.mlp_out(layer)
            changed = module.weight - before[f"{lm.arch.name_of(module)}.weight"]
            wanted = torch.zeros_like(changed)
            wanted[:, [place for own, place in neurons if own == layer]] = direction[:, None]
            torch.testing.assert_close(changed, wanted, atol=2e-6, rtol=0)
    assert all(torch.equal(value, before[name]) for name, value in lm.model.state_dict().items())


def test_editing_together_equals_one_by_one():
    lm = tiny_model("t5")
    other = EditRequest(case_id=5, subject="rain", prompt="town of {}", target_new="red", target_true="anna bell")
    editor = KnowledgeNeuronEditor(steps=4)
    for request, edit in zip([REQUEST, other], editor.edit_each(lm, [REQUEST, other]), strict=True):
        [alone] = editor.edit_each(lm, [request])
        for one, two in zip(alone.deltas, edit.deltas, strict=True):
            assert one.module == two.module
            torch.testing.assert_close(one.matrix(), two.matrix())


def test_gated_layers_have_no_plain_activation():
    with pytest.raises(ModelError, match="gates its feed-forward layers"):
        KnowledgeNeuronEditor(steps=2).edit_each(tiny_model("t5_gated"), [REQUEST])
