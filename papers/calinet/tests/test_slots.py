"""Slots: they begin as they should, learn, and leave the model's weights alone."""

import pytest
import torch

from papers.calinet.continued_pretraining import PretrainingSettings, pretrained
from papers.calinet.editor import CaliNetEditor
from papers.calinet.reading_slots import promoted_words, shift
from papers.calinet.slots import SlotLayer, SlotSettings, begin, cached_loss, calibrate, statements, whole_loss
from papers.calinet.tests.world import decoder, facts
from shared.data.requests import EditRequest
from shared.editing.editors import make_editor
from shared.edits.deltas import applied
from shared.errors import ConfigError
from shared.inference.text_batches import collate, predictions

QUICK = {"slots": 8, "steps": 150, "lr": 0.05}


def weights(lm):
    return {name: value.clone() for name, value in lm.model.state_dict().items()}


def unchanged(lm, before):
    return all(torch.equal(value, before[name]) for name, value in lm.model.state_dict().items())


@pytest.mark.parametrize("layer", [None, 0])
def test_zero_values_leave_the_model_as_it_is(layer):
    lm = decoder()
    batch = collate(lm, statements(lm, facts(2)))
    slots = begin(SlotLayer(lm, layer), SlotSettings(start="zero_out", slots=4), 0)
    before = predictions(lm, batch)
    with applied(lm, slots.edit()):
        assert torch.equal(predictions(lm, batch), before)
    random = begin(SlotLayer(lm, layer), SlotSettings(slots=4), 0)
    with applied(lm, random.edit()):
        assert not torch.equal(predictions(lm, batch), before)


def test_the_cached_loss_is_the_whole_models():
    lm = decoder()
    rows = statements(lm, facts(3))
    slots = begin(SlotLayer(lm), SlotSettings(slots=4), 0)
    states = slots.layer.observe(rows)
    with torch.no_grad():
        cached = cached_loss(slots, states, torch.arange(len(states.label)))
        assert float(cached) == pytest.approx(float(whole_loss(slots, rows)), rel=1e-5)


@pytest.mark.parametrize("layer", [None, 1])
def test_slots_learn_statements_and_weights_stay(layer):
    lm = decoder()
    before, rows = weights(lm), statements(lm, facts(3))
    slots = calibrate(lm, rows, SlotSettings(layer=layer, **QUICK))
    untrained = begin(SlotLayer(lm, layer), SlotSettings(slots=8), 0)
    with torch.no_grad():
        assert float(whole_loss(slots, rows)) < 0.7 * float(whole_loss(untrained, rows))
    assert unchanged(lm, before)
    with pytest.raises(ConfigError, match="has layers 0 to"):
        calibrate(lm, rows, SlotSettings(layer=9))


def test_pretraining_learns_and_gives_the_weights_back():
    lm = decoder()
    before, rows = weights(lm), statements(lm, facts(3))
    with pretrained(lm, rows, PretrainingSettings(steps=20, lr=1e-2, rows=6)) as losses:
        assert losses[-1] < 0.7 * losses[0]
        assert not unchanged(lm, before)
    assert unchanged(lm, before)


def test_slots_are_read():
    lm, asked = decoder(), facts(4)
    slots = calibrate(lm, statements(lm, asked), SlotSettings(**QUICK))
    words = list(promoted_words(lm, slots, asked, 3))
    assert [row["slot"] for row in words] == [0, 1, 2]
    assert all(0 <= row["share"] <= 1 for row in words)
    moved = list(shift(lm, slots, asked, 4))
    assert [row["slots"] for row in moved] == [0, 2, 4, 6, 8]
    assert moved[-1]["right"] > moved[0]["right"]


def test_the_editor_writes_requests():
    lm = decoder()
    editor = make_editor(CaliNetEditor.name, **QUICK)
    request = EditRequest(case_id=0, subject="one", prompt="{} two three", target_new="four")
    before = weights(lm)
    [edit] = editor.edit_each(lm, [request])
    assert (edit.kind, edit.deltas, edit.info) == ("neurons", (), {"slots": 8})
    assert unchanged(lm, before)
    with pytest.raises(ConfigError, match="calinet"):
        make_editor("calinet", sloths=3)
