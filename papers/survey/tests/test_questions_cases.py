"""Cases for encoder-decoders: no fact that an editor was trained on, and none that the model does not know."""

import json
from types import SimpleNamespace

import pytest

from papers.survey import questions_cases
from papers.survey.questions_cases import facts_of, mixed, question_cases
from papers.survey.records import SurveyRecord
from shared.errors import DataError
from shared.tests.families import tiny_model
from shared.world.generate import WorldConfig, generate_world
from shared.world.raw import counterfact_records, zsre_records

MADE = {"counterfact": counterfact_records, "zsre": zsre_records}
LM = tiny_model("t5")


@pytest.fixture(scope="module")
def book():
    return generate_world(WorldConfig(people=40, seed=0))


def written(path, facts):
    lines = [
        {"input": f"{f.subject} {f.relation_id}", "meta": {"subject": f.subject, "relation_id": f.relation_id}}
        for f in facts
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@pytest.fixture
def files(book, tmp_path):
    return {
        "held_out": written(tmp_path / "held_out.jsonl", book.facts[0::3]),
        "trained": written(tmp_path / "trained.jsonl", book.facts[1::3]),
    }


def score(known):
    def scored(_lm, questions, answers):
        return [
            SimpleNamespace(correct=(known(question, answer),))
            for question, answer in zip(questions, answers, strict=True)
        ]

    return scored


@pytest.mark.parametrize("form", MADE)
def test_only_known_facts_that_no_editor_has_seen_are_edited(form, book, files, tmp_path, monkeypatch):
    records = tmp_path / "records.json"
    records.write_text(json.dumps(MADE[form](book)))
    true = {(fact.subject, fact.object) for fact in book.facts}
    monkeypatch.setattr(questions_cases, "score_answers", score(lambda question, answer: len(question) % 4 > 0))
    found = question_cases(LM, form, records=records, book=book, count=1000, **files)
    unseen, seen = facts_of(files["held_out"]), facts_of(files["trained"])
    assert 0 < len(found.cases) == found.known < found.held_out
    for case in found.cases:
        request = case.request
        assert (request.subject, request.relation_id) in unseen - seen
        assert (request.subject, request.target_true) in true
        assert len(request.prompt.replace("{}", request.subject)) % 4 > 0
        assert request.target_new != request.target_true
    assert {probe.family for case in found.cases for probe in case.family_probes} >= {
        "alias",
        "one_hop",
        "other_attribute",
    }
    assert all((case.request.subject, case.request.relation_id) in seen for case in found.pool)
    few = question_cases(LM, form, records=records, book=book, count=3, **files)
    assert few.cases == found.cases[:3]


def test_faults_are_explained(book, files, tmp_path, monkeypatch):
    records = tmp_path / "records.json"
    records.write_text(json.dumps(counterfact_records(book)))
    monkeypatch.setattr(questions_cases, "score_answers", score(lambda *_: False))
    with pytest.raises(DataError, match=r"0 of them known to tiny-t5"):
        question_cases(LM, "counterfact", records=records, book=book, count=9, **files)


def record(case_id, question="who is anna ?"):
    return SurveyRecord(case_id=case_id, subject="anna", prompt="{} is", question=question, target_new="red")


def test_prompts_are_questions_about_one_subject():
    case = record(3).question_case()
    assert case.request.prompt == "who is {} ?"
    assert record(3, "who is it ?").question_case() is None
    assert record(3, "is anna anna ?").question_case() is None


def test_every_fourth_case_has_an_inverse_as_long_as_there_are_any():
    found = mixed(map(record, range(8)), map(record, range(100, 102)))
    assert [one.case_id for one in found] == [0, 1, 2, 100, 3, 4, 5, 101, 6, 7]
