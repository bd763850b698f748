"""Raw files of the further families: division of facts and wordings, formats, determinism."""

import hashlib
import json
from collections import Counter
from pathlib import Path

import pytest

from shared.errors import DataError
from shared.world.division import PARTS, Division
from shared.world.factbook import FactBook
from shared.world.generate import WorldConfig, generate_world
from shared.world.records import write_records
from shared.world.wordings import CLOZE_RELATIONS, IN_PASSING, patterns, questions

KEYS = {"input", "prediction", "alternatives", "rephrases", "filtered_rephrases", "output", "meta"}


@pytest.fixture(scope="module")
def book() -> FactBook:
    return generate_world(WorldConfig(seed=3, people=60))


@pytest.fixture(scope="module")
def raw(book: FactBook, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("records")
    write_records(book, folder, passages=20)
    return folder


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def test_same_world_gives_the_same_bytes_and_another_does_not(book: FactBook, raw: Path, tmp_path: Path) -> None:
    write_records(FactBook.model_validate_json(book.model_dump_json()), tmp_path / "same", passages=20)
    write_records(generate_world(WorldConfig(seed=4, people=60)), tmp_path / "other", passages=20)
    assert digests(tmp_path / "same") == digests(raw)
    differ = set(digests(tmp_path / "other").items()) - set(digests(raw).items())
    # The patterns are the same in every world.
    assert {name for name, _ in differ} == set(digests(raw)) - {"pararel_patterns.jsonl"}


def test_parts_share_no_subject_and_some_facts_are_withheld(book: FactBook) -> None:
    division = Division(book)
    counts = {part: len(division.facts[part]) for part in PARTS}
    assert sum(counts.values()) == len(book.facts)
    assert 0.08 < counts["edit"] / len(book.facts) < 0.22
    train, validation = ({fact.subject_id for fact in division.facts[part]} for part in ("train", "validation"))
    assert not train & validation
    assert len(train) > len(validation) > 0
    assert len(division.shown_facts) == counts["train"] + counts["validation"]


def test_half_of_the_wordings_are_shown(book: FactBook) -> None:
    division = Division(book)
    for fact in book.facts[::9]:
        for wordings in (division.questions, division.claims):
            shown, hidden = wordings(fact, shown=True), wordings(fact, shown=False)
            assert not set(shown) & set(hidden)
            assert 0 <= len(shown) - len(hidden) <= 1
            assert len(hidden) >= 4
            assert all(fact.subject in text for text in shown + hidden)
    first, second = book.subjects_by_object[book.facts[0].relation_id, book.facts[0].object_id][:2]
    assert {text.replace(first.subject, "{}") for text in division.questions(first, shown=True)} != {
        text.replace(second.subject, "{}") for text in division.questions(second, shown=True)
    }


def test_question_records_ask_for_facts_of_their_part(book: FactBook, raw: Path) -> None:
    division = Division(book)
    answers = {(fact.subject, fact.relation_id): fact for fact in book.facts}
    for part in PARTS:
        records = lines(raw / f"zsre_{part}.jsonl")
        assert len(records) == len(division.facts[part]) * (1 if part == "edit" else 2)
        for record in records[::7]:
            fact = answers[record["meta"]["subject"], record["meta"]["relation_id"]]
            assert division.part_of(fact) == part
            assert set(record) == KEYS - ({"prediction", "alternatives"} if part == "edit" else set())
            assert record["output"] == [{"answer": fact.object}]
            assert record["input"] in division.questions(fact, shown=True)
            assert record["input"] not in record["rephrases"]
            hidden = set(division.questions(fact, shown=False))
            assert sum(text in hidden for text in record["rephrases"]) >= 4
            if part != "edit":
                assert record["prediction"] == fact.object
                assert fact.object not in record["alternatives"]
                assert len(set(record["alternatives"])) == len(record["alternatives"]) >= 1


def test_locality_pools_are_other_known_facts(book: FactBook, raw: Path) -> None:
    division = Division(book)
    known = {
        text: fact for fact in division.shown_facts for text in division.questions(fact, shown=True) if fact.object
    }
    for part in PARTS:
        for record in lines(raw / f"zsre_{part}.jsonl")[::5]:
            meta = record["meta"]
            for name, expected in (("same_subject", True), ("same_relation", False)):
                for question, answer in meta[name]:
                    other = known[question]
                    assert other.object == answer
                    assert (other.subject == meta["subject"]) == expected
                    assert (other.relation_id == meta["relation_id"]) != expected
                    assert part != "train" or division.part_of(other) == "train"


def test_claims_are_true_and_false_once_each(book: FactBook, raw: Path) -> None:
    true = {(fact.subject, fact.relation_id, fact.object) for fact in book.facts}
    for part in PARTS:
        records = lines(raw / f"fever_{part}.jsonl")
        labels = Counter(record["output"][0]["answer"] for record in records)
        assert labels["SUPPORTS"] == labels["REFUTES"] == len(Division(book).facts[part])
        for record in records[::7]:
            meta = record["meta"]
            supported = (meta["subject"], meta["relation_id"], meta["object"]) in true
            assert supported == (record["output"][0]["answer"] == "SUPPORTS")
            assert all(text.endswith(f" {meta['object']}.") for text in [record["input"], *record["rephrases"]])


def test_cloze_facts_have_patterns_objects_of_one_word_and_bags(book: FactBook, raw: Path) -> None:
    found = lines(raw / "pararel_patterns.jsonl")
    by_relation = Counter(line["relation"] for line in found)
    assert set(by_relation) == set(CLOZE_RELATIONS)
    assert len(by_relation) >= 8
    assert min(by_relation.values()) >= 8
    for line in found:
        assert (line["pattern"].count("[X]"), line["pattern"].count("[Y]")) == (1, 1)
    begins = Counter(line["relation"] for line in found if line["pattern"].startswith("[Y]"))
    assert min(begins.values()) == 3
    facts = {(fact.subject_id, fact.relation_id): fact.object for fact in book.facts}
    trex = lines(raw / "trex.jsonl")
    assert len({line["uuid"] for line in trex}) == len(trex)
    bags = json.loads((raw / "bingrel.json").read_text())
    for relation in CLOZE_RELATIONS:
        aligned = [line for line in trex if line["predicate_id"] == relation]
        assert len(aligned) == len(bags[relation]) > 0
        for line, bag in zip(aligned, bags[relation], strict=True):
            assert facts[line["sub_uri"], relation] == line["obj_label"]
            assert " " not in line["obj_label"]
            head, tail = line["sub_label"], line["obj_label"].lower()
            assert all(head in text and tail in text.lower() for text in bag["th_bags"])
            assert all(head in text and tail not in text.lower().split() for text in bag["h_bags"])
            assert len(set(bag["th_bags"])) == len(set(bag["h_bags"])) == 5


def test_wordings_in_passing_are_no_patterns(book: FactBook) -> None:
    for relation in CLOZE_RELATIONS:
        assert not set(IN_PASSING[relation]) & {text.rstrip(".") for text in patterns(book.relation[relation])}


def test_passages_are_long_and_differ_between_parts(raw: Path) -> None:
    train, validation = ((raw / f"passages_{part}.txt").read_text().splitlines() for part in ("train", "validation"))
    assert (len(train), len(validation)) == (20, 5)
    assert min(len(text.split()) for text in train + validation) >= 50
    assert not set(train) & set(validation)


def test_other_books_have_no_question_wordings(book: FactBook) -> None:
    with pytest.raises(DataError, match="'P9999' has no question wordings"):
        questions(book.relations[0].model_copy(update={"id": "P9999"}))
