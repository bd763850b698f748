"""Other papers' methods on streams: edits add up, each is made of the model as it is then, and weights come back."""

import pytest
import torch

from papers.t_patcher.tests.problems import problem_of
from papers.t_patcher.trained_editors import HeldStreams, TrainedStreams
from shared.edits.factor_edits import Dense
from shared.errors import ConfigError
from shared.inference.text_batches import predictions
from shared.learning.learned_editors import LearnedEditor, group_losses, register_direct, register_learned, save_learned
from shared.model.models import Architecture

MAPS = {"t5": "decoder.block.{}.layer.2.DenseReluDense.wo", "bert_one_logit": "bert.encoder.layer.{}.output.dense"}


class OneStep(LearnedEditor):
    """One step down the gradient of an edit's loss."""

    method = "one_step"

    def __init__(self, lm, modules, rate=1.0):
        super().__init__(modules, {"rate": rate})
        self.rate = torch.nn.Parameter(torch.tensor(float(rate)))
        self.conditions = []

    def changes(self, lm, edits, *, training=False):
        """Return the steps of all maps."""
        self.conditions += list(edits.conditions)
        modules = {name: lm.model.get_submodule(name) for name in self.modules_edited}
        weights = [module.weight.requires_grad_(True) for module in modules.values()]
        with torch.enable_grad():
            loss = group_losses(predictions(lm, edits.batch), edits.batch, edits.group, edits.n_groups).sum()
            gradients = torch.autograd.grad(loss, weights)
        found = {}
        for (name, module), weight, gradient in zip(modules.items(), weights, gradients, strict=True):
            weight.requires_grad_(False)
            step = -self.rate * (gradient if Architecture.input_first(module) else gradient.T)
            found[name] = Dense(step[None])
        return found


class Lookup:
    """Answers what it was told, and nothing else."""

    def __init__(self, lm, modules, pool, *, folder):
        self.folder = folder

    def prepare(self, lm, edits):
        """Return the labels by input."""
        sources = edits.batch.inputs["input_ids"].tolist()
        return {tuple(source): label for source, label in zip(sources, edits.batch.labels, strict=True)}

    def answers(self, lm, prepared, rows):
        """Return the model's predictions, but for inputs that are known."""
        found = predictions(lm, rows.batch).clone()
        for line, source in enumerate(rows.batch.inputs["input_ids"].tolist()):
            known = {key: label for key, label in prepared.items() if key[: len(source)] == tuple(source)}
            for label in known.values():
                for place, token in enumerate(label[: found.shape[1]].tolist()):
                    if token >= 0:
                        found[line, place, token] = 1e4
        return found


register_learned("one_step", OneStep)
register_direct("lookup", Lookup)


def trained_on(problem, family, tmp_path, rate):
    """Return the streams of an editor that was written to a file."""
    layer = problem.layer.layer
    save_learned(
        OneStep(problem.layer.lm, [MAPS[family].format(layer)], rate=rate), problem.layer.lm, tmp_path / "e.st", {}
    )
    return TrainedStreams(problem, [[0, 1, 2], [3]], tmp_path / "e.st")


@pytest.mark.parametrize("family", ["t5", "bert_one_logit"])
def test_edits_add_up_and_weights_come_back(family, tmp_path):
    problem = problem_of(family, edits=4)
    streams = trained_on(problem, family, tmp_path, 0.3)
    [weight] = streams.weights()
    before = weight.clone()
    seen = [before]
    for stream in streams.streams:
        for number in streams.mend(stream):
            assert number == len(stream.edits)
            assert not torch.equal(weight, seen[-1])
            seen.append(weight.clone())
        assert torch.equal(weight, before)
        seen.append(before)
        assert set(streams.at_end) >= {"train", "test"}
    assert sum(len(stream.edits) for stream in streams.streams) >= 1
    assert len(streams.editor.conditions) == sum(len(stream.edits) for stream in streams.streams)
    assert not weight.requires_grad


def test_an_edit_that_is_not_finite_is_left_out(tmp_path):
    problem = problem_of("t5", edits=4)
    streams = trained_on(problem, "t5", tmp_path, float("inf"))
    [weight] = streams.weights()
    before = weight.clone()
    stream = streams.streams[0]
    for _ in streams.mend(stream):
        assert torch.equal(weight, before)
    assert [edit.right for edit in stream.edits] == [False] * 3


def test_held_edits_are_answered_from_memory_and_forgotten_with_their_stream():
    problem = problem_of("t5", edits=4)
    streams = HeldStreams(problem, [[0, 1], [2, 3]], "lookup", {"folder": "here"})
    first, second = streams.streams
    assert list(streams.mend(first)) == [1, 2]
    assert all(edit.right for edit in first.edits)
    assert streams.at_end["edited"] == 1
    assert streams.at_end["train"] == problem.accuracy_before["train"]
    assert list(streams.mend(second)) == [1, 2]
    assert streams.retained(first)["edited"] == 0
    with pytest.raises(ConfigError, match="is unknown"):
        HeldStreams(problem, [[0]], "nothing", {})
