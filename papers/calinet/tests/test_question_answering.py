"""Questions after calibration: what is tuned on, asked and calibrated, and a model that is given back."""

import pytest
import torch

from papers.calinet import question_answering
from papers.calinet.question_answering import QuestionStudy, answered, question_rows, questions_of
from papers.calinet.tests.world import decoder, facts, small_book
from shared.errors import ConfigError, DataError

STUDY = QuestionStudy(
    train=3,
    dev=8,
    tuning={"steps": 2, "rows": 3},
    methods={"vanilla": {}, "calinet": {"method": "calinet", "slots": 4, "steps": 3}},
)


def test_a_fact_has_questions_about_its_subject():
    [fact] = facts(1)
    questions = questions_of(small_book(), fact)
    assert len(questions) >= 2
    assert all(fact.subject in question and question.endswith("?") for question in questions)


def test_answers_are_those_of_the_model():
    lm = decoder()
    [fact] = facts(1)
    question = questions_of(small_book(), fact)[0]
    [(right, overlap, said)] = answered(lm, [(question, fact.gold)])
    assert (right, overlap) == (said == fact.gold, float(said == fact.gold))


def test_wrong_answers_are_calibrated_and_the_model_is_given_back(monkeypatch):
    lm, book = decoder(), small_book()
    before = {name: value.clone() for name, value in lm.model.state_dict().items()}
    true, calls = question_answering.answered, []

    def half_right(lm, asked):
        """Answer every other question right in the first wording, and all as the model does afterwards."""
        found = true(lm, asked)
        calls.append([question for question, _ in asked])
        return [(place % 2 == 0, *one[1:]) for place, one in enumerate(found)] if len(calls) == 1 else found

    monkeypatch.setattr(question_answering, "answered", half_right)
    rows = list(question_rows(lm, book, 0.5, STUDY, 0))
    assert len(rows) == 2 * STUDY.dev
    assert [row["related"] for row in rows] == [False, True] * STUDY.dev
    assert {row["model"] for row in rows} == {"vanilla", "calinet"}
    assert not set(calls[0]) & set(calls[1])
    assert calls[1] == calls[2]
    assert all(torch.equal(value, before[name]) for name, value in lm.model.state_dict().items())


def test_what_cannot_be_asked_is_refused(monkeypatch):
    monkeypatch.setattr(question_answering, "answered", lambda _lm, asked: [(True, 1.0, "")] * len(asked))
    with pytest.raises(DataError, match="nothing to calibrate"):
        list(question_rows(decoder(), small_book(), 0.5, STUDY, 0))
    with pytest.raises(ConfigError, match="unknown"):
        list(question_rows(decoder(), small_book(), 0.5, QuestionStudy(train=3, dev=8, tuning={"rate": 1}), 0))
