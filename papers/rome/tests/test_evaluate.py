"""The evaluation's command line, end to end on a tiny random model."""

import json

import pytest

from papers.rome import evaluate, measure, sample_contexts
from shared.probes import read_rows
from shared.tests.tiny import tiny_lm
from shared.world.factbook import Fact, FactBook, Form, Relation

VARIANTS = {
    "rome": {"editor": "rome", "layers": [1], "n_steps": 3, "mom2_adjustment": False},
    "ft": {"editor": "ft", "n_steps": 2, "grid": {"layer": [0, 2]}},
}


def record(case_id, subject, new, true):
    return {
        "case_id": case_id,
        "requested_rewrite": {
            "prompt": "The mother tongue of {} is",
            "subject": subject,
            "relation_id": "P103",
            "target_new": {"str": new, "id": f"Q{new}"},
            "target_true": {"str": true, "id": f"Q{true}"},
        },
        "paraphrase_prompts": [f"{subject} speaks"],
        "neighborhood_prompts": ["Anna Bell is a native speaker of", "The mother tongue of Bo Kant is"],
        "attribute_prompts": [],
        "generation_prompts": [f"{subject} is"],
    }


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluate")
    lm = tiny_lm()
    lm.model.save_pretrained(folder / "model")
    lm.tokenizer.save_pretrained(folder / "model")
    names = ["Danielle Darrieux", "Anna", "Bo Kant", "Space Needle", "Mei"]
    cases = [record(n, name, "English", "French") for n, name in enumerate(names)]
    (folder / "cases.json").write_text(json.dumps(cases))
    (folder / "variants.json").write_text(json.dumps(VARIANTS))
    forms = [Form(text="{} works as a", kind="subject_first")]
    relations = [Relation(id="P106", name="occupation", forms=forms), Relation(id="P103", name="language", forms=forms)]
    facts = [
        Fact(subject_id=name, subject=name, relation_id=relation, object_id="o", object="doctor")
        for name in names
        for relation in ("P106", "P103")
    ]
    FactBook(name="tiny", seed=0, relations=relations, entities=[], facts=facts).save(folder / "facts.json")
    sample_contexts.main(
        ["--model", str(folder / "model"), "--lengths", "[[4, 2]]", "--out", str(folder / "contexts.json")]
    )
    return folder


def run(files, out, *more):
    options = ["--model", files / "model", "--dataset", "counterfact", "--cases", files / "cases.json"]
    options += ["--variants", files / "variants.json", "--contexts", files / "contexts.json", "--facts"]
    options += [files / "facts.json", "--block", 2, "--generate", "--max-length", 20, "--out", files / out]
    evaluate.main([str(word) for word in [*options, *more]])
    return files / out


@pytest.fixture(scope="module")
def whole(files):
    return run(files, "whole.jsonl")


def test_rows_of_every_variant_beside_one_unedited_model(whole):
    rows = list(read_rows(whole))
    editors = list(dict.fromkeys(row.editor for row in rows))
    assert editors == ["none", "rome", "ft layer=0", "ft layer=2"]
    asked = {editor: [row.key for row in rows if row.editor == editor] for editor in editors}
    assert all(keys == asked["none"] for keys in asked.values())
    assert len(asked["none"]) == 5 * (1 + 1 + 2 + 1 + 1)
    assert list(dict.fromkeys(row.case_id for row in rows)) == [0, 1, 2, 3, 4]
    other = [row for row in rows if row.kind == "other_fact" and row.editor == "none"]
    assert [row.prompt for row in other][:2] == ["Danielle Darrieux works as a", "Anna works as a"]


@pytest.mark.parametrize("shards", [2, 4])
def test_shards_give_the_same_bytes_as_one_run(files, whole, shards):
    parts = [run(files, f"{n}.jsonl", "--shard", f"{n}-of-{shards}") for n in range(1, shards + 1)]
    assert b"".join(part.read_bytes() for part in parts) == whole.read_bytes()


def test_first_n_and_measuring(files):
    rows = run(files, "first.jsonl", "--first", "3")
    out = ["--per-case", str(files / "cases.csv"), "--summary", str(files / "summary.csv")]
    measure.main(["--probes", str(rows), "--dataset", "counterfact", *out])
    summary = (files / "summary.csv").read_text().splitlines()
    assert summary[0] == "editor,metric,mean,low,high,normal_half_width,n"
    assert any(line.startswith("rome,efficacy_score,") and line.endswith(",3") for line in summary)
    assert any(line.startswith("none,generation_entropy,") for line in summary)
    assert (files / "cases.csv").read_text().splitlines()[0].startswith("editor,phase,protocol,seed,case_id,")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--variants", '{"rome": {"editor": "rome", "layers": [7]}}'], "layers [7] do not exist, the model has 0..2"),
        (["--variants", '{"x": {"editor": "magic"}}'], "editing method 'magic' is unknown"),
        (["--variants", '{"ft": {"editor": "ft", "layers": [0], "speed": 3}}'], "does not take these settings"),
        (["--variants", '{"rome": {"editor": "rome", "layers": [1], "contexts": "few"}}'], "add --contexts few=FILE"),
        (["--variants", '{"rome": {"editor": "rome", "layers": [1]}}'], "needs `moments`"),
        (["--shard", "5-of-4"], "not of the form 2-of-8"),
        (["--cases", "nowhere.json"], "nowhere.json: cannot be read"),
    ],
)
def test_bad_input_ends_with_a_message_and_no_file(files, caplog, more, message):
    with pytest.raises(SystemExit):
        run(files, "never.jsonl", *more)
    assert message in caplog.text
    assert not (files / "never.jsonl").exists()


def test_a_subject_without_facts_is_named(files, caplog, tmp_path):
    (tmp_path / "cases.json").write_text(json.dumps([record(0, "Nobody", "English", "French")]))
    with pytest.raises(SystemExit):
        run(files, "never.jsonl", "--cases", tmp_path / "cases.json")
    assert "subject 'Nobody' is not in the fact book 'tiny'" in caplog.text
