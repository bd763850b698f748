"""Public files, as one file or as folders; sentences with a hidden word; what networks can be asked."""

import json
import random

import pytest

from papers.kn.cloze_facts import read_relations
from papers.kn.facts import bags_of
from papers.kn.sentences import hide_tail, hide_word, read_bags
from papers.kn.tests.networks import network_of
from shared.errors import DataError

PATTERNS = ["[X] works as a [Y].", "[X], who is a [Y].", "[Y] is the work of [X].", "[X] was a [Y] ."]
PAIRS = [("Anna Bell", "doctor"), ("Carl Dorn", "pilot"), ("Carl Bell", "unheard")]


def write(folder, patterns=PATTERNS, pairs=PAIRS, relation="P106"):
    lines = [json.dumps({"pattern": pattern, "relation": relation}) for pattern in patterns]
    (folder / "patterns.jsonl").write_text("\n".join(lines))
    lines = [json.dumps({"sub_label": head, "obj_label": tail, "predicate_id": relation}) for head, tail in pairs]
    (folder / "facts.jsonl").write_text("\n".join(lines))
    return folder / "patterns.jsonl", folder / "facts.jsonl"


def test_one_file_or_a_folder_of_them(tmp_path):
    [relation] = read_relations(*write(tmp_path))
    assert (relation.id, relation.patterns) == ("P106", tuple(PATTERNS))
    assert [(fact.line, fact.subject) for fact in relation.facts] == [
        (0, "Anna Bell"),
        (1, "Carl Dorn"),
        (2, "Carl Bell"),
    ]
    for name in ("patterns", "facts"):
        (tmp_path / name).mkdir()
        lines = [json.loads(line) for line in (tmp_path / f"{name}.jsonl").read_text().splitlines()]
        bare = [{key: own[key] for key in own if key not in {"relation", "predicate_id"}} for own in lines]
        published = {"patterns": {"lemma": "work", "tense": "present"}, "facts": {"uuid": "6a9d"}}[name]
        (tmp_path / name / "P106.jsonl").write_text("\n".join(json.dumps(own | published) for own in bare))
    assert read_relations(tmp_path / "patterns", tmp_path / "facts") == [relation]


def test_few_patterns_and_many_facts(tmp_path):
    files = write(tmp_path, pairs=[("Anna Bell", "doctor")] * 10)
    [relation] = read_relations(*files, max_facts=4)
    assert [fact.line for fact in relation.facts] == [0, 2, 5, 7]
    with pytest.raises(DataError, match="no relation in common with 5 patterns"):
        read_relations(*files, min_patterns=5)


def test_faults_name_file_and_line(tmp_path):
    with pytest.raises(DataError, match=r"pattern '\[X\] is' needs one \[X\] and one \[Y\]"):
        read_relations(*write(tmp_path, patterns=[*PATTERNS, "[X] is"]))
    patterns, facts = write(tmp_path)
    facts.write_text('{"sub_label": "Anna Bell", "predicate_id": "P106"}')
    with pytest.raises(DataError, match="facts.jsonl, line 1: no obj_label"):
        read_relations(patterns, facts)


def test_what_networks_can_be_asked(tmp_path):
    relations = read_relations(*write(tmp_path))
    masked = bags_of(network_of("masked"), relations, 4)
    assert [bag.fact.answer for bag in masked] == ["doctor", "pilot"], "an unknown word cannot be the answer"
    assert masked[0].patterns == tuple(PATTERNS)
    cloze = masked[0].clozes[2]
    assert cloze.position == 1, "the mask stands first, after the start token"
    with pytest.raises(DataError, match="asked in 4 ways"):
        bags_of(network_of("gpt2"), relations, 4)


def test_hidden_words():
    assert hide_tail("Rome is in Romeland, and Rome it is.", "Romeland", "Rome") == (
        "",
        " is in Romeland, and Rome it is.",
    )
    assert hide_tail("The Rome Club is here.", "The Rome Club", "Rome") is None
    for seed in range(5):
        before, after = hide_word("Anna Bell was late .", "Anna Bell", random.Random(seed))
        assert before.startswith("Anna Bell")
        assert len((before + after).split()) == 4 or after == " ."
    assert hide_word("Anna Bell", "Anna Bell", random.Random(0)) is None


def test_sentences_are_checked(tmp_path):
    path = tmp_path / "b.json"
    path.write_text(json.dumps({"P106": [{"th_bags": ["a"], "h_bags": []}]}))
    assert read_bags(path)["P106"][0].both == ("a",)
    path.write_text(json.dumps({"P106": [{"th_bags": ["a"]}]}))
    with pytest.raises(DataError, match="b.json: expected relation"):
        read_bags(path)
