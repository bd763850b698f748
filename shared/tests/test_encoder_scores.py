"""Masked words and verdicts on claims, against Hugging Face one text at a time."""

import pytest
import torch

from shared.errors import DataError, ModelError
from shared.inference.cloze import score_cloze
from shared.inference.verdicts import claim_logits, verdict_logits
from shared.tests.families import tiny_model

TEXTS = ["anna bell plays the [MASK] .", "[MASK] rain in the town of anna", "a [MASK]"]


def test_cloze_equals_single_forward_passes():
    lm = tiny_model("bert_masked")
    scores = score_cloze(lm, TEXTS, ["piano", "red", "doctor"], max_tokens=16)
    for text, answer, score in zip(TEXTS, ["piano", "red", "doctor"], scores, strict=True):
        batch = lm.tokenizer(text, return_tensors="pt")
        place = (batch["input_ids"][0] == lm.tokenizer.mask_token_id).nonzero()[0, 0]
        log_probs = lm.model(**batch).logits[0, place].log_softmax(-1)
        wanted = lm.tokenizer.convert_tokens_to_ids(answer)
        assert score.log_prob == pytest.approx(log_probs[wanted].item(), abs=1e-5)
        assert score.predicted == log_probs.argmax().item()
        assert score.correct == (score.predicted == wanted)


@pytest.mark.parametrize(
    ("text", "answer", "message"),
    [
        ("anna bell", "piano", "0 masks, expected exactly one"),
        ("[MASK] plays [MASK]", "piano", "2 masks, expected exactly one"),
        ("[MASK]", "anna bell", "expected one known token"),
        ("[MASK]", "violoncello", "expected one known token"),
    ],
)
def test_unusable_cloze_texts_are_refused(text, answer, message):
    with pytest.raises(DataError, match=message):
        score_cloze(tiny_model("bert_masked"), [text], [answer])


@pytest.mark.parametrize("family", ["bert_one_logit", "bert_two_classes"])
def test_verdicts_equal_single_forward_passes(family):
    lm = tiny_model(family)
    claims = ["anna bell is a doctor .", "rain", "the piano plays anna in the town of rain"]
    values = claim_logits(lm, claims, max_tokens=16)
    for claim, value in zip(claims, values, strict=True):
        logits = lm.model(**lm.tokenizer(claim, return_tensors="pt")).logits[0]
        if family == "bert_one_logit":
            assert value.item() == pytest.approx(logits.item(), abs=1e-5)
        else:
            assert torch.sigmoid(value).item() == pytest.approx(logits.softmax(-1)[1].item(), abs=1e-5)


def test_a_head_with_three_classes_gives_no_verdict():
    with pytest.raises(ModelError, match="3 classes"):
        verdict_logits(tiny_model("bert_two_classes"), torch.zeros(2, 3))
