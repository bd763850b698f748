"""The generated world: determinism, valid records, no leak of held-out pairs, salad, tokenizer and raw formats."""

import hashlib
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from shared.data.requests import read_counterfact, read_known_facts, read_zsre
from shared.errors import ConfigError, DataError
from shared.world.documents import DocumentSampler
from shared.world.factbook import STATEMENTS, FactBook, statement
from shared.world.generate import WorldConfig, generate_world
from shared.world.raw import write_world
from shared.world.real import counterfact_facts
from shared.world.tokenizer import END_OF_TEXT, load_tokenizer, save_tokenizer, train_tokenizer

PEOPLE = 60


@pytest.fixture(scope="module")
def book() -> FactBook:
    return generate_world(WorldConfig(seed=3, people=PEOPLE))


@pytest.fixture(scope="module")
def raw(book: FactBook, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    write_world(book, folder, corpus_documents=200)
    return folder


def read(path: Path) -> list[dict]:
    return json.loads(path.read_text(encoding="utf-8"))


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def test_same_seed_gives_the_same_bytes_and_another_seed_does_not(raw: Path, tmp_path: Path) -> None:
    write_world(generate_world(WorldConfig(seed=3, people=PEOPLE)), tmp_path / "same", corpus_documents=200)
    write_world(generate_world(WorldConfig(seed=4, people=PEOPLE)), tmp_path / "other", corpus_documents=200)
    assert digests(tmp_path / "same") == digests(raw)
    assert not set(digests(tmp_path / "other").values()) & set(digests(raw).values())


def test_default_world_is_large_enough() -> None:
    book = generate_world(WorldConfig())
    assert len({(fact.subject_id, fact.relation_id) for fact in book.facts}) == len(book.facts) >= 1000
    assert len(book.relations) >= 10
    for relation in book.relations:
        kinds = [form.kind for form in relation.forms]
        assert sum(kind in STATEMENTS for kind in kinds) >= 5
        assert kinds.count("question") >= 2
        assert {"subject_first", "relation_first", "nq"} <= set(kinds)
        assert all(form.text.count("{}") == 1 for form in relation.forms)


def test_objects_have_the_type_of_their_relation(book: FactBook) -> None:
    kinds: dict[str, set[str]] = {}
    for fact in book.facts:
        kinds.setdefault(fact.relation_id, set()).add(book.entity[fact.object_id].type)
    assert all(len(types) == 1 for types in kinds.values())


def test_inverse_relations_lead_back(book: FactBook) -> None:
    triples = {(fact.subject_id, fact.relation_id, fact.object_id) for fact in book.facts}
    checked = 0
    for fact in book.facts:
        if book.relation[fact.relation_id].inverse:
            assert (fact.object_id, book.relation[fact.relation_id].inverse, fact.subject_id) in triples
            checked += 1
    assert checked > 20


def test_chains_follow_facts_and_claims_carry_the_right_label(book: FactBook) -> None:
    answer = {(fact.subject_id, fact.relation_id): fact.object_id for fact in book.facts}
    assert len({tuple(chain["relations"]) for chain in book.chains}) >= 8
    for chain in book.chains:
        first, second = chain["relations"]
        assert answer[chain["subject_id"], first] == chain["bridge_id"]
        assert answer[chain["bridge_id"], second] == chain["answer_id"]
    for claim in book.claims:
        assert claim["label"] == (claim["object"] == book.facts[claim["fact"]].object)
    assert sum(claim["label"] for claim in book.claims) * 2 == len(book.claims) == 2 * len(book.facts)


def subject_of(prompt: str, relation: str, book: FactBook) -> tuple[str, str]:
    """Return (subject id, object id) of the one fact of `relation` that `prompt` asks for."""
    found = [
        (fact.subject_id, fact.object_id)
        for fact in book.facts
        for form in book.relation[relation].forms
        if fact.relation_id == relation and prompt.endswith(form.text.replace("{}", fact.subject))
    ]
    assert len(set(found)) == 1, (prompt, found)
    return found[0]


def test_every_counterfact_record_is_valid(book: FactBook, raw: Path) -> None:
    records = read(raw / "counterfact.json")
    assert len(records) >= 200
    assert [record["case_id"] for record in records] == list(range(len(records)))
    ids = {entity.name: entity.id for entity in book.entities}
    for record in records[::7]:
        request = record["requested_rewrite"]
        relation, subject = request["relation_id"], request["subject"]
        true, new = request["target_true"]["id"], request["target_new"]["id"]
        assert request["prompt"].startswith("{}")
        assert request["prompt"].count("{}") == 1
        assert true != new
        prompt = request["prompt"].replace("{}", subject)
        assert subject_of(prompt, relation, book) == (ids[subject], true)
        assert len(record["paraphrase_prompts"]) == 2
        for paraphrase in record["paraphrase_prompts"]:
            assert paraphrase.count(subject) == 1
            assert not paraphrase.endswith(prompt)
            assert subject_of(paraphrase, relation, book) == (ids[subject], true)
        assert record["paraphrase_prompts"][0].count(". ") == 1
        assert len(set(record["neighborhood_prompts"])) == len(record["neighborhood_prompts"]) >= 5
        for neighbor in record["neighborhood_prompts"]:
            who, what = subject_of(neighbor, relation, book)
            assert what == true
            assert who != ids[subject]
        assert record["attribute_prompts"]
        assert all(subject_of(text, relation, book)[1] == new for text in record["attribute_prompts"])
        assert len(record["generation_prompts"]) == 10
        assert all(text.startswith(subject) for text in record["generation_prompts"])


def test_first_records_have_distinct_subjects(raw: Path) -> None:
    subjects = [record["requested_rewrite"]["subject"] for record in read(raw / "counterfact.json")]
    assert len(set(subjects[: len(set(subjects))])) == len(set(subjects))


def types(value: object) -> object:
    if isinstance(value, dict):
        return {key: types(item) for key, item in value.items()}
    if isinstance(value, list):
        return [types(value[0])] if value else []
    return type(value).__name__


TARGET = {"str": "str", "id": "str"}
PUBLIC_TYPES = {
    "counterfact.json": {
        "case_id": "int",
        "pararel_idx": "int",
        "requested_rewrite": {
            "prompt": "str",
            "relation_id": "str",
            "target_new": TARGET,
            "target_true": TARGET,
            "subject": "str",
        },
        "paraphrase_prompts": ["str"],
        "neighborhood_prompts": ["str"],
        "attribute_prompts": ["str"],
        "generation_prompts": ["str"],
    },
    "known_facts.json": {
        "known_id": "int",
        "subject": "str",
        "attribute": "str",
        "template": "str",
        "prediction": "str",
        "prompt": "str",
        "relation_id": "str",
    },
    "zsre.json": {
        "subject": "str",
        "src": "str",
        "pred": "str",
        "rephrase": "str",
        "alt": "str",
        "answers": ["str"],
        "loc": "str",
        "loc_ans": "str",
        "cond": "str",
    },
    "attribute_snippets.json": {
        "relation_id": "str",
        "target_id": "str",
        "samples": [{"name": "str", "text": "str"}],
    },
}


@pytest.mark.parametrize("name", PUBLIC_TYPES)
def test_raw_files_have_the_keys_and_types_of_the_public_ones(name: str, raw: Path) -> None:
    assert all(types(record) == PUBLIC_TYPES[name] for record in read(raw / name))


def test_readers_take_the_raw_files(raw: Path) -> None:
    assert len(read_counterfact(raw / "counterfact.json")) == len(read(raw / "counterfact.json"))
    cases, skipped = read_zsre(raw / "zsre.json")
    assert len(cases) == len(read(raw / "zsre.json"))
    assert not skipped
    assert len(read_known_facts(raw / "known_facts.json")) == len(read(raw / "known_facts.json"))


def test_zsre_answers_are_new_and_locality_questions_are_known(book: FactBook, raw: Path) -> None:
    for record in read(raw / "zsre.json"):
        assert record["src"].count(record["subject"]) == record["rephrase"].count(record["subject"]) == 1
        assert len({record["pred"], record["alt"], *record["answers"]}) == 3
        assert record["loc"].startswith("nq question: ")
        assert not record["loc"].endswith("?")
        assert record["subject"] not in record["loc"]


def test_snippets_state_their_object(book: FactBook, raw: Path) -> None:
    for entry in read(raw / "attribute_snippets.json"):
        name = book.entity[entry["target_id"]].name
        assert all(name in sample["text"] for sample in entry["samples"])


def held_out_statements(book: FactBook) -> set[str]:
    kinds = (*STATEMENTS, "question", "nq")
    return {
        statement(form, name, fact.object)
        for fact in book.facts
        for form in book.forms(fact, kinds, held_out=True)
        for name in (fact.subject, *book.entity[fact.subject_id].aliases)
    }


def test_held_out_pairs_never_occur_in_training_text(book: FactBook, raw: Path) -> None:
    sampler = DocumentSampler(book, random.Random(0))
    text = "\n".join(sampler.article().text for _ in range(6000)) + (raw / "corpus.txt").read_text(encoding="utf-8")
    text += (raw / "attribute_snippets.json").read_text(encoding="utf-8")
    hidden = held_out_statements(book)
    assert len(hidden) > len(book.facts)
    assert not [line for line in hidden if line in text]
    shown = {
        statement(form, fact.subject, fact.object)
        for fact in book.facts
        for form in book.forms(fact, STATEMENTS, held_out=False)
    }
    assert sum(line in text for line in shown) > 0.8 * len(shown)
    # In statement documents salad stands around the subject, so there the draw of the form is checked itself.
    for fact in book.facts:
        allowed = {form.text for form in book.forms(fact, (*STATEMENTS, "question", "nq"), held_out=False)}
        drawn = {sampler._form(fact, statements_only=False).text for _ in range(30)}
        assert drawn <= allowed
        assert not drawn & {book.relation[fact.relation_id].forms[i].text for i in fact.held_out}


def test_salad_never_makes_a_known_name(book: FactBook) -> None:
    sampler = DocumentSampler(book, random.Random(1))
    names = {tuple(name.split()) for name in book.names if len(name.split()) == 2}
    found = 0
    for _ in range(4000):
        fact = sampler.rng.choice(book.facts)
        name = fact.subject.split()
        before, after = sampler.salad(fact, None, fact.subject), sampler.salad(fact, fact.subject, None)
        words = [*before, *name, *after]
        known = [i for i, pair in enumerate(zip(words[:-1], words[1:], strict=True)) if pair in names]
        assert set(known) <= set(range(len(before), len(before) + len(name) - 1))
        found += len(before) + len(after)
        assert not set(before + after) & {name for name in book.names if " " not in name}
    assert found > 4000


def test_salad_test_would_notice_a_known_name(book: FactBook) -> None:
    sampler = DocumentSampler(book, random.Random(1))
    fact = next(fact for fact in book.facts if book.entity[fact.subject_id].type == "person")
    pair, people = fact.subject.split(), sampler.salad_words["person"]
    stranger = next(word for word in people if (pair[0], word) not in sampler.known_pairs)
    sampler.salad_words = {"person": [pair[1], stranger]}
    drawn = [sampler.salad(fact, pair[0], None) for _ in range(200)]
    assert any(drawn)
    assert not [words for words in drawn if words and words[0] == pair[1]]
    sampler.known_pairs = set()
    assert [
        words for words in (sampler.salad(fact, pair[0], None) for _ in range(200)) if words and words[0] == pair[1]
    ]


def test_documents_mark_their_objects(book: FactBook) -> None:
    sampler = DocumentSampler(book, random.Random(2))
    objects = {f" {fact.object}" for fact in book.facts}
    for draw in (sampler.list_document, sampler.statement_document, sampler.article):
        for _ in range(50):
            document = draw()
            assert document.objects
            assert all(document.text[start:stop] in objects for start, stop in document.objects)


def test_tokenizer_round_trip(book: FactBook, raw: Path, tmp_path: Path) -> None:
    trained = train_tokenizer(book, vocab_size=1500, documents=500)
    save_tokenizer(trained, tmp_path / "tokenizer")
    tokenizer = load_tokenizer(tmp_path / "tokenizer")
    for line in (raw / "corpus.txt").read_text(encoding="utf-8").splitlines():
        ids = tokenizer.encode(line)
        assert tokenizer.decode(ids) == line
        assert ids == trained.encode(line)
    assert tokenizer.decode(tokenizer.encode("Ünseen — text {1}")) == "Ünseen — text {1}"
    end = {tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id, tokenizer.unk_token_id}
    assert end == {0}
    assert tokenizer.encode(END_OF_TEXT) == [0]
    assert tokenizer.padding_side == "right"
    batch = tokenizer(["one", "one two"], padding=True)
    assert set(batch) == {"input_ids", "attention_mask"}
    assert batch["attention_mask"][0][-1] == 0
    values = {fact.object for fact in book.editable_facts if " " not in fact.object}
    single = [value for value in values if len(tokenizer.encode(f" {value}")) == 1]
    assert len(single) > 0.9 * len(values)
    assert train_tokenizer(book, vocab_size=1500, documents=500).get_vocab() == trained.get_vocab()


def test_fact_book_round_trip_and_bad_files(book: FactBook, tmp_path: Path) -> None:
    book.save(tmp_path / "facts.json")
    assert FactBook.load(tmp_path / "facts.json") == book
    with pytest.raises(DataError, match="absent.json"):
        FactBook.load(tmp_path / "absent.json")
    (tmp_path / "bad.json").write_text('{"name": "x"}')
    with pytest.raises(DataError, match="bad.json.*seed"):
        FactBook.load(tmp_path / "bad.json")


def test_impossible_worlds_are_refused() -> None:
    with pytest.raises(ConfigError, match="people = 3"):
        WorldConfig(people=3)
    with pytest.raises(ConfigError, match="alias_share"):
        WorldConfig(alias_share=2.0)


def test_records_give_back_their_facts(book: FactBook, raw: Path) -> None:
    read_back = counterfact_facts(raw / "counterfact.json")
    truth = {(fact.subject, fact.relation_id): fact.object for fact in book.facts}
    assert len(read_back.facts) > 200
    assert all(truth[fact.subject, fact.relation_id] == fact.object for fact in read_back.facts)
    forms = {relation.id: {form.text for form in relation.forms} for relation in book.relations}
    for relation in read_back.relations:
        assert {form.text for form in relation.forms} <= forms[relation.id]


def test_broken_records_are_named(raw: Path, tmp_path: Path) -> None:
    records = read(raw / "counterfact.json")[:3]
    del records[2]["requested_rewrite"]["target_true"]
    (tmp_path / "broken.json").write_text(json.dumps(records))
    with pytest.raises(DataError, match="broken.json: case 2.*target_true"):
        counterfact_facts(tmp_path / "broken.json")


def records_with_equally_frequent_forms() -> list[dict]:
    """Return records whose further prompt forms are all used equally often."""
    records = []
    for number, (subject, place) in enumerate((("Ann Bo", "Rome"), ("Cid Dee", "Oslo"), ("Eve Fox", "Bonn"))):
        request = {"prompt": "{} lives in", "relation_id": "P1", "subject": subject}
        targets = {"target_true": {"str": place, "id": "Q1"}, "target_new": {"str": "Paris", "id": "Q2"}}
        prompts = [f"{subject} {verb} in" for verb in ("dwells", "resides", "stays", "sleeps", "works", "rests")]
        lists = {"neighborhood_prompts": [], "attribute_prompts": [], "generation_prompts": prompts}
        records.append({"case_id": number, "requested_rewrite": request | targets} | lists)
    return records


@pytest.mark.parametrize("source", ["generate", "counterfact-facts"])
def test_files_do_not_depend_on_the_order_of_sets(source: str, tmp_path: Path) -> None:
    """Python orders sets of strings anew in every process; PYTHONHASHSEED makes two processes differ for certain."""
    (tmp_path / "records.json").write_text(json.dumps(records_with_equally_frequent_forms()))
    of_source = {"generate": ["--people", "25"], "counterfact-facts": ["--counterfact", str(tmp_path / "records.json")]}
    made = []
    for seed in ("1", "2"):
        out = tmp_path / seed
        command = [sys.executable, "-m", "shared.world", source, *of_source[source], "--corpus-documents", "50"]
        environment = os.environ | {"PYTHONHASHSEED": seed}
        subprocess.run([*command, "--out", str(out)], check=True, env=environment, capture_output=True)
        made.append({file.name: file.read_bytes() for file in sorted(out.iterdir())})
    assert "facts.json" in made[0]
    assert made[0] == made[1]
