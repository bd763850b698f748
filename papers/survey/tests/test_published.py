"""The authors' own probes go to the very edit that they were written for."""

import json

import pytest

from papers.survey.draw_records import draw, read_questions, read_statements
from papers.survey.published import read_published
from shared.errors import DataError

QUESTION = {
    "subject": "Wenxiu",
    "src": "What is Wenxiu's spouse's name?",
    "rephrase": "Who is Wenxiu's spouse?",
    "alt": "Wenxi Emperor",
    "answers": ["Puyi"],
    "loc": "nq question: who sang it",
    "loc_ans": "Dan",
}
STATEMENT = {
    "case_id": 0,
    "requested_rewrite": {
        "prompt": "{} was made by",
        "subject": "Volvo B12M",
        "relation_id": "P176",
        "target_new": {"str": "Fiat", "id": "Q1"},
        "target_true": {"str": "Volvo", "id": "Q2"},
    },
    **{name: [] for name in ("paraphrase_prompts", "neighborhood_prompts", "attribute_prompts", "generation_prompts")},
}
MORE = {
    "alias": ({"alter_subject_question": "What is Wen's spouse's name?"}, {"alternative_subject": "B12M"}),
    "inverse": ({"inverse question": "Who is the wife of Wenxi Emperor?"}, None),
    "one_hop": ({"portability": {"New Question": "Where was he born?", "New Answer": "Peking"}},) * 2,
}


def written(tmp_path, name, records):
    path = tmp_path / f"{name}.json"
    path.write_text(json.dumps(records))
    return path


def published(tmp_path, base, form):
    return {
        family: read_published(family, written(tmp_path, family, [base | more[form]]))
        for family, more in MORE.items()
        if more[form] is not None
    }


def test_questions(tmp_path):
    other = QUESTION | {"subject": "Volvo", "src": "Who made Volvo?", "alt": "Fiat"}
    records = read_questions(written(tmp_path, "cases", [other, QUESTION, other | {"src": "Who owns Volvo?"}]), None)
    (first, second), pool = draw(records, None, 2, 2, published(tmp_path, QUESTION, 0))
    assert (first.subject, second.subject, len(pool)) == ("Wenxiu", "Volvo", 1)
    asked = {family: (probe.prompt, probe.answer) for family, (probe,) in first.probes.items()}
    assert asked == {
        "alias": ("What is Wen's spouse's name?", "Wenxi Emperor"),
        "inverse": ("Who is the wife of Wenxi Emperor?", "Wenxiu"),
        "one_hop": ("Where was he born?", "Peking"),
    }
    assert second.probes == {}


def test_statements(tmp_path):
    records = read_statements(written(tmp_path, "cases", [STATEMENT, STATEMENT | {"case_id": 1}]), None)
    records[1] = records[1].model_copy(update={"target_new": "Saab"})
    (first, second), _ = draw(
        [*records, records[0].model_copy(update={"subject": "X"})], None, 2, 2, published(tmp_path, STATEMENT, 1)
    )
    assert first.probes["alias"][0].prompt == "B12M was made by"
    assert first.probes["one_hop"][0].answer == "Peking"
    assert second.probes == {}, "another new object: the probe's answer would be wrong"


def test_another_file_is_refused(tmp_path):
    with pytest.raises(DataError, match="record 0 has no 'inverse question'"):
        read_published("inverse", written(tmp_path, "wrong", [QUESTION]))
    with pytest.raises(DataError, match="published probes are of"):
        read_published("distracting", written(tmp_path, "wrong", [QUESTION]))
