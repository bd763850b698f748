"""Arrangements of records: nothing contradicts itself, and blocks hold what they are to hold."""

import json

import pandas as pd
import pytest

from papers.memit.arrange import main
from shared.data.requests import read_counterfact


def _record(case_id, relation, subject, new="lute"):
    rewrite = {"prompt": "{} plays the", "relation_id": relation, "subject": subject}
    rewrite |= {"target_new": {"str": new, "id": "Q1"}, "target_true": {"str": "violin", "id": "Q2"}}
    kinds = ("paraphrase", "neighborhood", "attribute", "generation")
    return {"case_id": case_id, "requested_rewrite": rewrite} | {f"{kind}_prompts": [f"{kind}?"] for kind in kinds}


@pytest.fixture
def cases(tmp_path):
    records = [_record(place, f"P{place % 3}", f"S{place}") for place in range(12)]
    records.insert(5, _record(90, "P1", "s1", new="drum"))
    path = tmp_path / "cases.json"
    path.write_text(json.dumps(records))
    return path


def _run(cases, *more):
    out, index = cases.with_name("out.json"), cases.with_name("index.csv")
    main(["--dataset", "counterfact", "--cases", str(cases), "--out", str(out), "--index", str(index), *more])
    return read_counterfact(out), pd.read_csv(index) if index.exists() else None


def test_the_later_record_of_a_conflict_is_dropped(cases):
    kept, index = _run(cases)
    assert [case.case_id for case in kept] == list(range(12))
    assert index is None


def test_a_block_for_each_relation_with_enough_records(cases):
    kept, index = _run(cases, "--each-relation", "--size", "4")
    assert [case.case_id for case in kept] == list(range(12))
    assert index["block"].tolist() == ["P0"] * 4 + ["P1"] * 4 + ["P2"] * 4
    assert [case.request.subject for case in kept][:4] == ["S0", "S3", "S6", "S9"]


def test_mixtures_hold_each_relation_alone_and_both_in_equal_parts(cases):
    kept, index = _run(cases, "--mixtures", '[["P0", "P2"]]', "--size", "2")
    assert index["block"].tolist() == ["P0", "P0", "P2", "P2", "P0+P2", "P0+P2"]
    assert [case.request.subject for case in kept] == ["S0", "S3", "S2", "S5", "S0", "S2"]
    assert index["relation"].tolist()[4:] == ["P0", "P2"]


def test_both_kinds_of_blocks_share_the_relations(cases):
    _, index = _run(cases, "--each-relation", "--mixtures", '[["P0", "P2"]]', "--size", "2")
    assert index["block"].tolist() == [label for label in ("P0", "P1", "P2", "P0+P2") for _ in range(2)]


def test_blocks_without_a_size_are_no_request(cases, capsys):
    with pytest.raises(SystemExit):
        _run(cases, "--each-relation")
    assert "blocks need --size" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--each-relation", "--size", "9"], "no relation has 9 records, the largest has 4"),
        (["--mixtures", '[["P0", "P7"]]', "--size", "2"], "relation P7 has 0 records"),
        (["--mixtures", '[["P0", "P1"]]', "--size", "3"], "take an even size"),
    ],
)
def test_what_cannot_be_arranged_is_explained(cases, options, message, caplog):
    with pytest.raises(SystemExit):
        _run(cases, *options)
    assert message in caplog.text


def test_zsre_questions_that_contradict_an_earlier_one_are_dropped(tmp_path):
    records = [
        {"subject": "Ann", "src": question, "rephrase": question, "answers": [answer], "loc": "nq", "loc_ans": "a"}
        for question, answer in (("Who is Ann?", "one"), ("Who is Ann?", "two"), ("What is Ann?", "two"))
    ]
    cases, out = tmp_path / "zsre.json", tmp_path / "out.json"
    cases.write_text(json.dumps(records))
    main(["--dataset", "zsre", "--cases", str(cases), "--out", str(out)])
    assert [record["src"] for record in json.loads(out.read_text())] == ["Who is Ann?", "What is Ann?"]
