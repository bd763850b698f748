"""The scope classifier against a pair-by-pair oracle, in both forms."""

import pytest
import torch

from papers.serac.descriptor import Descriptor
from papers.serac.method import route
from papers.serac.scope import BOUNDARY, CrossScope, EmbeddingScope, load_scope, pooled, save_scope, start_scope
from papers.serac.texts import counterfactual_text, scope_text
from shared.errors import ConfigError, ModelError
from shared.tests.families import tiny_model

EDITS = [
    Descriptor("who plays the piano ?", "anna"),
    Descriptor("town of rain is a town", ""),
    Descriptor("anna works as a", "doctor"),
    Descriptor("who is the doctor in the town of bell one two ?", "red blue"),
]
INPUTS = ["who plays ?", "anna bell works as a doctor in rain", "one", "blue town . red town . blue town"]


def scope_of(form: str):
    lm = tiny_model("bert_masked") if form == "embed" else tiny_model("bert_two_classes")
    model = lm.model.base_model if form == "embed" else lm.model
    return {"embed": EmbeddingScope, "cross": CrossScope}[form](model, lm.tokenizer)


def pair_by_pair(scope, form: str, edit: Descriptor, text: str) -> float:
    """Return log g of one pair, as the formulas of the paper say it, without any batch."""
    ids = scope.tokenizer
    with torch.no_grad():
        if form == "embed":
            left, right = (
                scope.model(**ids(one, return_tensors="pt")).last_hidden_state[0, 0]
                for one in (scope_text(edit, ids), text)
            )
            return -float(((left - right) ** 2).sum())
        asked = ids(f"{scope_text(edit, ids)} [SEP] {text}", return_tensors="pt")
        return float(scope.model(**asked).logits[0].log_softmax(-1)[0])


@pytest.mark.parametrize("form", ["embed", "cross"])
def test_scores_are_those_of_single_pairs(form):
    scope = scope_of(form)
    with torch.no_grad():
        scores = scope.log_scores(EDITS, INPUTS)
    oracle = torch.tensor([[pair_by_pair(scope, form, edit, text) for edit in EDITS] for text in INPUTS])
    torch.testing.assert_close(scores, oracle, atol=1e-4, rtol=1e-4)
    best, index = scope.nearest(EDITS, INPUTS)
    assert index.tolist() == oracle.argmax(1).tolist()
    torch.testing.assert_close(best, oracle.max(1).values, atol=1e-4, rtol=1e-4)


def test_a_text_is_its_first_its_last_or_its_mean_state():
    states = torch.arange(24.0).view(2, 3, 4)
    present = torch.tensor([[1, 1, 1], [1, 1, 0]])
    assert torch.equal(pooled(states, present, "cls"), states[:, 0])
    assert torch.equal(pooled(states, present, "last"), torch.stack([states[0, 2], states[1, 1]]))
    assert torch.equal(pooled(states, present, "mean")[1], states[1, :2].mean(0))


def test_texts_are_framed_as_in_the_authors_code():
    scope = scope_of("cross")
    assert scope_text(EDITS[0], scope.tokenizer) == "who plays the piano ? [SEP] anna [SEP]"
    assert scope_text(EDITS[1], scope.tokenizer) == "town of rain is a town [SEP]"
    assert counterfactual_text(EDITS[0], "who ?") == "who plays the piano ? anna who ?"
    assert counterfactual_text(EDITS[1], "who ?") == "town of rain is a town who ?"
    seen = []
    tokenize = scope.tokenizer.__class__.__call__

    class Listening(scope.tokenizer.__class__):
        def __call__(self, texts, *args, **kwargs):
            seen.extend(texts)
            return tokenize(self, texts, *args, **kwargs)

    scope.tokenizer.__class__ = Listening
    try:
        scope.pair_scores([(EDITS[0], "one")])
    finally:
        scope.tokenizer.__class__ = Listening.__base__
    assert seen[0] == "who plays the piano ? [SEP] anna [SEP] [SEP] one"


def test_vectors_of_edits_are_computed_once_until_they_are_forgotten():
    scope = scope_of("embed")
    calls = []
    encode = scope.encode
    scope.encode = lambda texts: calls.append(list(texts)) or encode(texts)
    first = scope.vectors(EDITS)
    assert torch.equal(scope.vectors([EDITS[2], EDITS[0]]), first[[2, 0]])
    assert len(calls) == 1
    scope.forget()
    scope.vectors(EDITS[:1])
    assert len(calls) == 2


def test_no_edit_covers_anything_and_the_boundary_is_strict():
    scope = scope_of("embed")
    assert not route(scope, [], INPUTS).covered.any()
    scope.nearest = lambda edits, inputs: (torch.tensor([BOUNDARY, BOUNDARY + 1e-3]), torch.tensor([0, 0]))
    assert route(scope, EDITS, INPUTS[:2]).covered.tolist() == [False, True]


@pytest.mark.parametrize("form", ["embed", "cross"])
def test_a_saved_classifier_decides_as_before(form, tmp_path):
    scope = scope_of(form)
    if form == "embed":
        scope.scale = 0.25
    save_scope(scope, tmp_path)
    loaded = load_scope(tmp_path)
    with torch.no_grad():
        torch.testing.assert_close(loaded.log_scores(EDITS, INPUTS), scope.log_scores(EDITS, INPUTS))


def test_a_scale_moves_the_boundary_and_no_order():
    scope = scope_of("embed")
    plain, nearest = scope.nearest(EDITS, INPUTS)
    scope.scale = 0.5
    scaled, same = scope.nearest(EDITS, INPUTS)
    torch.testing.assert_close(scaled, plain / 2)
    assert torch.equal(nearest, same)
    with torch.no_grad():
        torch.testing.assert_close(scope.kept_scores(EDITS, INPUTS), scope.log_scores(EDITS, INPUTS))


def test_unknown_forms_and_missing_encoders_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="expected embed or cross"):
        start_scope("both", tmp_path)
    with pytest.raises(ModelError, match="as an encoder"):
        start_scope("embed", tmp_path / "nothing")
