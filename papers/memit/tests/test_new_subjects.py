"""Requests about new subjects: nobody bears the names, and the records are in the public formats."""

import json

import pytest

from papers.memit.new_subjects import main, newcomers
from shared.data.requests import read_counterfact, read_zsre
from shared.errors import ConfigError
from shared.tests.tiny import tiny_lm
from shared.world.generate import WorldConfig, generate_world

COUNT = 18


@pytest.fixture(scope="module")
def book():
    return generate_world(WorldConfig(people=40))


@pytest.fixture(scope="module")
def files(book, tmp_path_factory):
    folder = tmp_path_factory.mktemp("new")
    lm = tiny_lm()
    lm.model.save_pretrained(folder / "model")
    lm.tokenizer.save_pretrained(folder / "model")
    book.save(folder / "facts.json")
    given = ["--model", folder / "model", "--facts", folder / "facts.json", "--count", COUNT]
    given += ["--counterfact", folder / "counterfact.json", "--zsre", folder / "zsre.json"]
    main(list(map(str, given)))
    return folder


def test_names_are_new_distinct_and_seeded(book):
    chosen = newcomers(book, 200, seed=0)
    names = [newcomer.name for newcomer in chosen]
    assert len(set(names)) == 200
    assert not set(names) & set(book.names)
    words = {word for entity in book.entities if entity.type == "person" for word in entity.name.split()}
    assert {word for name in names for word in name.split()} <= words
    assert [newcomer.name for newcomer in newcomers(book, 50, seed=0)] == names[:50]
    assert [newcomer.name for newcomer in newcomers(book, 50, seed=1)] != names[:50]


def test_relations_take_turns(book):
    relations = [newcomer.relation_id for newcomer in newcomers(book, 24, seed=0)]
    assert len(set(relations[:6])) == 6
    assert relations[:6] * 4 == relations


def test_more_subjects_than_the_words_allow_are_refused(book):
    with pytest.raises(ConfigError, match="the world's names leave"):
        newcomers(book, 100_000, seed=0)


def test_records_are_in_counterfacts_format_and_about_known_neighbors(book, files):
    cases = read_counterfact(files / "counterfact.json")
    assert len(cases) == COUNT
    known = {(fact.relation_id, fact.object): [] for fact in book.facts}
    for fact in book.facts:
        known[fact.relation_id, fact.object].append(fact.subject)
    for case in cases:
        request = case.request
        assert request.target_new != request.target_true
        assert len(case.paraphrase_prompts) == 2
        assert all(request.subject in prompt for prompt in case.paraphrase_prompts + case.generation_prompts)
        assert request.prompt.startswith("{}")
        same = known[request.relation_id, request.target_true]
        assert len(case.neighborhood_prompts) == 10
        assert all(any(subject in prompt for subject in same) for prompt in case.neighborhood_prompts)


def test_questions_are_in_zsres_format(files):
    cases, skipped = read_zsre(files / "zsre.json")
    assert (len(cases), skipped) == (COUNT, [])
    records = json.loads((files / "zsre.json").read_text())
    assert all(record["answers"][0] != record["pred"] != record["alt"] for record in records)
    assert all(record["src"] != record["rephrase"] for record in records)
