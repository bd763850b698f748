import json
import random

import pytest

from shared.errors import DataError
from shared.inference.verdicts import REFUTES, SUPPORTS
from shared.learning.edit_pools import Pool
from shared.learning.edit_tasks import Task
from shared.learning.scope_examples import FALSE, TRUE, TRUTH_PROMPTS, hard_questions
from shared.model.models import load_lm
from shared.provenance import REPOSITORY
from shared.world.generate import WorldConfig, generate_world
from shared.world.raw import counterfact_records
from shared.world.records import write_records

QUESTIONS = ["zsre_{}.jsonl"]
HARD = [*QUESTIONS, "impl_{}.json", "zsre_yn_{}.txt"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("records")
    write_records(generate_world(WorldConfig(seed=3, people=40)), out, passages=4)
    return out


def parts(folder, kind, names):
    files = [folder / name.format(part) for part in ("train", "validation") for name in names]
    return Task(kind, files, validation=10).parts()


def test_every_fact_is_edited_once_and_asked_in_its_own_and_another_wording(folder):
    found = parts(folder, "scoped_questions", QUESTIONS)
    for examples in (found["train"].examples, found["test"].examples):
        assert len({example.about for example in examples}) == len(examples)
        assert all(example.equivalents[0] == example.source for example in examples)
    assert {len(example.equivalents) for example in found["test"].examples} == {2}
    assert max(len(example.equivalents) for example in found["train"].examples) > 2
    assert not any(example.entailed for example in found["test"].examples)


def test_what_an_edit_entails_names_its_new_answer(folder):
    test = parts(folder, "hard_questions", HARD)["test"]
    verdicts = set()
    for example in test.examples:
        implied, judged = example.entailed
        assert example.target in implied.source
        assert example.old not in implied.source
        assert implied.target == example.about.split(": ")[0]
        assert judged.source.startswith(TRUTH_PROMPTS)
        assert (example.target in judged.source) == (judged.target == TRUE)
        verdicts.add(judged.target)
    assert verdicts == {TRUE, FALSE}


def test_statements_know_what_lies_near_and_which_records_are_tested(tmp_path):
    records = counterfact_records(generate_world(WorldConfig(seed=3, people=40)))
    (tmp_path / "counterfact.json").write_text(json.dumps(records))
    found = Task("scoped_statements", [tmp_path / "counterfact.json"], 10, 20).parts()
    ids = {name: {example.example_id for example in examples.examples} for name, examples in found.items()}
    assert ids["test"] == {record["case_id"] for record in records[:20]}
    assert sum(map(len, ids.values())) == len(set().union(*ids.values())) == len(records)
    for example in found["train"].examples:
        subject, relation = example.about.split(": ")
        assert example.equivalents[0] == example.source
        assert subject in example.source
        assert all(subject in text for text in example.equivalents)
        for item in example.near:
            own, other = item.about.rsplit(": ", 1)
            assert (own == subject) != (other == relation), "another relation, or another subject"
            assert own in item.source
    assert any(item.about.startswith(f"{example.about.split(': ')[0]}: ") for item in example.near)


def test_evidence_decides_some_claims_and_not_others(folder):
    found = parts(folder, "evidence", ["vitaminc_{}.jsonl"])
    test = found["test"].examples
    assert {example.target for example in test} == {SUPPORTS}
    assert {item.target for example in test for item in example.entailed} == {SUPPORTS, REFUTES}
    assert len({example.about for example in test}) == len(test)
    assert any(example.near for example in test)
    assert len(found["train"].examples) > len({example.about for example in found["train"].examples})


def test_no_anchor_is_about_what_is_edited(folder):
    test = parts(folder, "hard_questions", HARD)["test"]
    lm = load_lm(REPOSITORY / "tests/golden/model")
    pool = Pool(lm, test)
    about = {lm.tokenizer.decode(lm.tokenizer.encode(item.source)): item.about for item in test.anchors}
    rng, drawn, near = random.Random(0), 0, 0
    for _ in range(10):
        group = [pool.examples[index] for index in rng.sample(range(len(pool.examples)), 8)]
        held = {example.about for example in group}
        beside = {row.source for example in group for row, _ in example.near}
        for row in pool._anchors(rng, group, 20):
            assert about.get(lm.tokenizer.decode(row.source)) not in held
            drawn, near = drawn + 1, near + (row.source in beside)
    assert 0.4 * drawn < near < 0.7 * drawn


def test_files_of_different_lengths_are_refused(folder, tmp_path):
    (tmp_path / "impl.json").write_text(json.dumps([[]]))
    with pytest.raises(DataError, match="expected as many"):
        hard_questions(folder / "zsre_train.jsonl", tmp_path / "impl.json", folder / "zsre_yn_train.txt")
