"""Teacher-forced answers: the decoder never sees what it predicts, and batches equal single forward passes."""

import pytest
import torch

from shared.errors import DataError
from shared.inference.answers import IGNORED, answer_batch, answer_ids, score_answers
from shared.tests.families import tiny_model

QUESTIONS = ["who plays the piano ?", "rain ?", "anna bell is a doctor in town . who is a doctor ?"]
ANSWERS = ["anna bell", "red", "red blue two"]


@pytest.mark.parametrize("family", ["t5", "bart"])
def test_scores_equal_hugging_face_one_at_a_time(family):
    lm = tiny_model(family)
    scores = score_answers(lm, QUESTIONS, ANSWERS, max_tokens=20)
    for question, answer, score in zip(QUESTIONS, ANSWERS, scores, strict=True):
        ids = torch.tensor([answer_ids(lm, answer)])
        asked = lm.tokenizer(question, return_tensors="pt")
        out = lm.model(**asked, labels=ids)
        log_probs = out.logits[0].log_softmax(-1)
        wanted = log_probs[torch.arange(ids.shape[1]), ids[0]]
        assert torch.tensor(score.log_probs) == pytest.approx(wanted.tolist(), abs=1e-5)
        assert score.predicted == tuple(log_probs.argmax(-1).tolist())
        assert score.mean_nll == pytest.approx(out.loss.item(), abs=1e-5)
        assert len(score.correct) == ids.shape[1]


@pytest.mark.parametrize("family", ["t5", "bart"])
def test_a_model_that_copies_its_decoder_input_scores_no_exact_match(family, request):
    lm = tiny_model(family)
    size = lm.arch.embedding.num_embeddings

    def copy(_module, _args, kwargs, output):
        output["logits"] = torch.nn.functional.one_hot(kwargs["decoder_input_ids"], size).float() * 50
        return output

    handle = lm.model.register_forward_hook(copy, with_kwargs=True)
    request.addfinalizer(handle.remove)
    scores = score_answers(lm, QUESTIONS, ANSWERS)
    assert [all(score.correct) for score in scores] == [False, False, False]
    assert not any(score.correct[0] for score in scores)


def test_a_batch_shifts_answers_right_and_leaves_padding_out():
    lm = tiny_model("t5")
    batch = answer_batch(lm, QUESTIONS[:2], ["anna bell", "red"])
    start, end = lm.model.config.decoder_start_token_id, lm.tokenizer.eos_token_id
    anna, bell, red = (lm.tokenizer.convert_tokens_to_ids(word) for word in ("anna", "bell", "red"))
    assert batch.labels.tolist() == [[anna, bell, end], [red, end, IGNORED]]
    assert batch.decoder_input_ids.tolist() == [[start, anna, bell], [start, red, end]]


def test_an_empty_answer_is_refused():
    with pytest.raises(DataError, match="empty answer"):
        score_answers(tiny_model("t5"), ["rain ?"], [" "])
