"""Routing between two models: what must stay is the base model's bit for bit, all else the counterfactual model's."""

import pytest
import torch

from papers.serac.counterfactual import counterfactual_predictions, fresh_counterfactual, load_counterfactual
from papers.serac.descriptor import Descriptor
from papers.serac.method import RetrieveAndPrompt, Serac, answers_with
from papers.serac.scope import EmbeddingScope, save_scope
from papers.serac.texts import descriptors_of, questions_of
from shared.errors import ConfigError, ModelError
from shared.inference.text_batches import collate, encode_row, predictions
from shared.inference.verdicts import REFUTES, SUPPORTS
from shared.learning.edit_pools import Rows
from shared.learning.learned_editors import Edits
from shared.model.models import LM
from shared.tests.families import tiny_model

QUESTIONS = ["who plays the piano ?", "anna works as a", "town of rain ?", "who is the doctor ?"]
ANSWERS = {"t5": ["anna", "red doctor", "blue", "bell one"], "bert_one_logit": [SUPPORTS, REFUTES, SUPPORTS, REFUTES]}
FAMILIES = sorted(ANSWERS)


class Chosen:
    """A classifier whose decisions are given: input → edit that covers it."""

    def __init__(self, choices: dict[str, int]):
        self.choices = choices

    def nearest(self, edits, inputs):
        index = [self.choices.get(text, -1) for text in inputs]
        scores = torch.tensor([0.0 if place >= 0 else -50.0 for place in index])
        return scores, torch.tensor([max(place, 0) for place in index])


def models_of(family: str) -> tuple[LM, LM]:
    return tiny_model(family), tiny_model(family, seed=1)


def batch_of(lm: LM, family: str):
    return collate(lm, [encode_row(lm, *pair) for pair in zip(QUESTIONS, ANSWERS[family], strict=True)])


@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_what_no_edit_covers_is_the_base_models_bit_for_bit(family):
    base, counterfactual = models_of(family)
    batch = batch_of(base, family)
    before = predictions(base, batch)
    edits = [Descriptor("who is anna ?", "red"), Descriptor("bell", "blue")]
    for held in ([], edits):
        after = answers_with(base, Chosen({}), counterfactual, held, batch, before)
        assert torch.equal(after, before)
    after = answers_with(base, Chosen({QUESTIONS[1]: 1, QUESTIONS[3]: 0}), counterfactual, edits, batch, before)
    assert torch.equal(after[[0, 2]], before[[0, 2]])
    assert not torch.equal(after[1], before[1])


@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_what_an_edit_covers_is_the_counterfactual_models(family):
    base, counterfactual = models_of(family)
    batch = batch_of(base, family)
    edit = Descriptor("who is anna ?", "" if family == "bert_one_logit" else "red")
    found = answers_with(base, Chosen({QUESTIONS[2]: 0}), counterfactual, [edit], batch, predictions(base, batch))
    text = " ".join(filter(None, [edit.source, edit.target, QUESTIONS[2]]))
    alone = collate(counterfactual, [encode_row(counterfactual, text, ANSWERS[family][2])])
    expected = predictions(counterfactual, alone)
    torch.testing.assert_close(found[2, : expected.shape[1]], expected[0], atol=1e-5, rtol=1e-5)
    again = counterfactual_predictions(counterfactual, base, [edit] * 4, batch)
    torch.testing.assert_close(again[2], found[2], atol=1e-5, rtol=1e-5)


def test_edits_are_read_back_as_they_were_written():
    base, _ = models_of("t5")
    batch = batch_of(base, "t5")
    assert questions_of(base, batch) == QUESTIONS
    assert descriptors_of(base, batch) == [Descriptor(*pair) for pair in zip(QUESTIONS, ANSWERS["t5"], strict=True)]
    claims, _ = models_of("bert_one_logit")
    assert {edit.target for edit in descriptors_of(claims, batch_of(claims, "bert_one_logit"))} == {""}


@torch.no_grad()
def test_each_group_has_a_memory_of_its_own(tmp_path):
    base, counterfactual = models_of("t5")
    lm = tiny_model("bert_masked")
    for name, model in (("counterfactual", counterfactual), ("base", base)):
        model.model.save_pretrained(tmp_path / name)
        model.tokenizer.save_pretrained(tmp_path / name)
    (tmp_path / "scope").mkdir()
    save_scope(EmbeddingScope(lm.model.base_model, lm.tokenizer), tmp_path / "scope")
    method = Serac(base, [], None, folder=tmp_path)
    rows = [encode_row(base, *pair) for pair in zip(QUESTIONS, ANSWERS["t5"], strict=True)]
    edits = Edits.of(base, [[(rows[0], ())], [(rows[1], ()), (rows[2], ())]])
    memories = method.prepare(base, edits)
    assert [[edit.source for edit in memory] for memory in memories] == [QUESTIONS[:1], QUESTIONS[1:3]]
    method.scope = prompted = Chosen({QUESTIONS[3]: 0})
    asked = Rows.of(base, [[rows[3]], [rows[3], rows[0]]])
    found = method.answers(base, memories, asked)
    before = method.before(base, asked.batch)
    assert not torch.equal(found[0], found[1]), "one question under two memories"
    assert torch.equal(found[2], before[2])
    rp = RetrieveAndPrompt(base, [], None, folder=tmp_path)
    rp.scope = prompted
    answered = rp.answers(base, memories, asked)
    own = counterfactual_predictions(base, base, [memories[0][0]], asked.batch.select(slice(0, 1)))
    torch.testing.assert_close(answered[0], own[0], atol=1e-5, rtol=1e-5)


def test_a_counterfactual_model_must_have_the_base_models_words(tmp_path):
    base, _ = models_of("t5")
    other = tiny_model("t5", seed=2)
    other.model.save_pretrained(tmp_path)
    tokenizer = other.tokenizer.__class__.from_pretrained
    other.tokenizer.save_pretrained(tmp_path)
    assert load_counterfactual(tmp_path, base).tokenizer.get_vocab() == base.tokenizer.get_vocab()
    changed = tokenizer(tmp_path)
    changed.add_tokens(["xyzzy"])
    changed.save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="words"):
        load_counterfactual(tmp_path, base)
    decoder = tiny_model("bert_masked")
    with pytest.raises(ModelError, match="cannot load"):
        load_counterfactual(tmp_path, decoder)


def test_a_counterfactual_model_may_be_smaller_than_the_base_model():
    base, _ = models_of("t5")
    small = fresh_counterfactual(base, {"d_model": 8, "d_ff": 12})
    assert small.model.config.d_model == 8
    assert base.model.config.d_model == 16
    batch = batch_of(base, "t5")
    found = counterfactual_predictions(small, base, [Descriptor("who ?", "anna")] * 4, batch)
    assert found.shape == predictions(base, batch).shape
    with pytest.raises(ConfigError, match="no size 'width'"):
        fresh_counterfactual(base, {"width": 8})


@torch.no_grad()
def test_a_fresh_counterfactual_model_reads_words_unchanged_and_looks_back():
    base, _ = models_of("t5")
    model = fresh_counterfactual(base, {"d_kv": 8}).model
    read = model.decoder.block[0].layer[1].EncDecAttention
    states = torch.randn(5, model.config.d_model)
    torch.testing.assert_close(read.o(read.v(states)), states)
    first = model.encoder.block[0].layer[0].SelfAttention
    bias = first.compute_bias(6, 6)[0, 0]
    assert all(bias[place].argmax() == place - 1 for place in range(1, 6))
