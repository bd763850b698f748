import pytest
import torch

from shared.errors import DataError
from shared.inference.answers import IGNORED, score_answers
from shared.inference.scoring import score_targets
from shared.inference.text_batches import answered, collate, divergence, encode_row, predictions, token_nll
from shared.inference.verdicts import claim_logits
from shared.tests.episodes import FAMILIES, model_of

QUESTIONS = ["who plays the piano ?", "who works in town"]


def nll(lm, pairs):
    batch = collate(lm, [encode_row(lm, *pair) for pair in pairs])
    with torch.no_grad():
        logits = predictions(lm, batch)
    return batch, logits, token_nll(logits, batch)


@pytest.mark.parametrize("family", ["t5", "bart"])
def test_an_encoder_decoder_is_fed_the_answer_shifted_right(family):
    lm = model_of(family)
    answers = ["the doctor of town", "rain"]
    batch, logits, found = nll(lm, list(zip(QUESTIONS, answers, strict=True)))
    scores = score_answers(lm, QUESTIONS, answers)
    for row, score in enumerate(scores):
        length = len(score.log_probs)
        assert found[row, :length].tolist() == pytest.approx([-value for value in score.log_probs], abs=1e-5)
        assert bool(answered(logits, batch)[row]) == all(score.correct)
        assert batch.inputs["decoder_input_ids"][row, 0] == lm.model.config.decoder_start_token_id
        assert batch.inputs["decoder_input_ids"][row, 1:length].tolist() == batch.labels[row, : length - 1].tolist()
        assert batch.labels[row, length - 1] == lm.tokenizer.eos_token_id
    # What is predicted must not see itself: another last token leaves the predictions before it as they are.
    other = collate(lm, [encode_row(lm, QUESTIONS[0], "the doctor of piano")])
    with torch.no_grad():
        assert torch.allclose(predictions(lm, other)[0, :4], logits[0, :4], atol=1e-5)


def test_a_decoder_predicts_its_answer_from_the_token_before():
    lm = model_of("gpt2")
    pairs = [(QUESTIONS[0], "doctor of rain"), (QUESTIONS[1], "a")]
    _, _, found = nll(lm, pairs)
    rows = [encode_row(lm, *pair) for pair in pairs]
    scores = score_targets(lm, [row.source for row in rows], [row.target for row in rows])
    for line, score in zip(found, scores, strict=True):
        assert line[line != 0].tolist() == pytest.approx([-value for value in score.log_probs], abs=1e-5)


@pytest.mark.parametrize("family", ["bert_one_logit", "bert_two_classes"])
def test_a_classifiers_label_is_the_sign_of_its_logit(family):
    lm = model_of(family)
    batch, logits, found = nll(lm, [(QUESTIONS[0], "SUPPORTS"), (QUESTIONS[1], "REFUTES")])
    odds = claim_logits(lm, QUESTIONS)
    assert logits[:, 0, 0].tolist() == pytest.approx(odds.tolist(), abs=1e-5)
    expected = [-torch.nn.functional.logsigmoid(odds[0]), -torch.nn.functional.logsigmoid(-odds[1])]
    assert found[:, 0].tolist() == pytest.approx(torch.stack(expected).tolist(), abs=1e-5)
    assert answered(logits, batch).tolist() == [bool(odds[0] > 0), bool(odds[1] <= 0)]


@pytest.mark.parametrize("family", FAMILIES)
def test_padding_and_company_change_nothing(family):
    lm = model_of(family)
    answer = "SUPPORTS" if family.startswith("bert") else "rain"
    pairs = [(QUESTIONS[0], answer), ("who plays the piano in town of red rain ?", answer)]
    _, _, together = nll(lm, pairs)
    for row, pair in enumerate(pairs):
        _, _, alone = nll(lm, [pair])
        assert together[row][together[row] != 0].tolist() == pytest.approx(alone[alone != 0].tolist(), abs=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_divergence_is_zero_for_equal_predictions_and_counts_masked_positions_only(family):
    lm = model_of(family)
    answer = "SUPPORTS" if family.startswith("bert") else "rain"
    batch, logits, _ = nll(lm, [(QUESTIONS[0], answer), (QUESTIONS[1], answer)])
    assert divergence(logits, logits, batch).abs().max() < 1e-6
    moved = divergence(logits, logits * 0.5, batch)
    assert ((moved > 0) == batch.mask).all()
    assert (batch.labels[~batch.mask] == IGNORED).all()


def test_a_claims_label_and_an_input_are_checked():
    lm = model_of("bert_one_logit")
    with pytest.raises(DataError, match="'true'.*SUPPORTS or REFUTES"):
        encode_row(lm, QUESTIONS[0], "true")
    with pytest.raises(DataError, match="empty input"):
        encode_row(lm, "  ", "SUPPORTS")
