"""The evaluation's command line, end to end on a tiny random model."""

import json
from dataclasses import replace

import pytest

from shared.data.probes import read_rows
from shared.editing import edit_cases
from shared.fit import sample_contexts
from shared.measures import measure
from shared.tests.records import counterfact_record
from shared.tests.tiny import tiny_lm
from shared.world.factbook import Fact, FactBook, Form, Relation

METHODS = ["shared.tests.random_editor"]
VARIANTS = {
    "inside": {"editor": "random_in_contexts", "layers": [1]},
    "random": {"editor": "random", "scale": 0.5, "grid": {"layer": [0, 2]}},
}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluate")
    lm = tiny_lm()
    lm.model.save_pretrained(folder / "model")
    lm.tokenizer.save_pretrained(folder / "model")
    names = ["Danielle Darrieux", "Anna", "Bo Kant", "Space Needle", "Mei"]
    cases = [counterfact_record(n, name, "English", "French") for n, name in enumerate(names)]
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
    asked = ["--model", folder / "model", "--lengths", "[[4, 2]]", "--paper", "tiny", "--out", folder / "contexts.json"]
    sample_contexts.main(list(map(str, asked)))
    return folder


def run(files, out, *more):
    options = ["--model", files / "model", "--dataset", "counterfact", "--cases", files / "cases.json"]
    options += ["--methods", *METHODS, "--variants", files / "variants.json", "--contexts", files / "contexts.json"]
    options += ["--facts", files / "facts.json", "--block", 2, "--generate", "--max-length", 20, "--out", files / out]
    edit_cases.main([str(word) for word in [*options, *more]])
    return files / out


@pytest.fixture(scope="module")
def whole(files):
    return run(files, "whole.jsonl")


def test_rows_of_every_variant_beside_one_unedited_model(whole):
    rows = list(read_rows(whole))
    editors = list(dict.fromkeys(row.editor for row in rows))
    assert editors == ["none", "inside", "random layer=0", "random layer=2"]
    asked = {editor: [row.key for row in rows if row.editor == editor] for editor in editors}
    assert all(keys == asked["none"] for keys in asked.values())
    assert len(asked["none"]) == 5 * (1 + 1 + 2 + 1 + 1)
    assert list(dict.fromkeys(row.case_id for row in rows)) == [0, 1, 2, 3, 4]
    other = [row for row in rows if row.kind == "other_fact" and row.editor == "none"]
    assert [row.prompt for row in other][:2] == ["Danielle Darrieux works as a", "Anna works as a"]


@pytest.mark.parametrize("shards", [2, 4])
@pytest.mark.parametrize("protocol", ["single", "batch:2"])
def test_shards_give_the_same_bytes_as_one_run(files, shards, protocol):
    whole = run(files, "one.jsonl", "--protocol", protocol).read_bytes()
    options = ["--protocol", protocol, "--shard"]
    parts = [run(files, f"{n}.jsonl", *options, f"{n}-of-{shards}") for n in range(1, shards + 1)]
    assert b"".join(part.read_bytes() for part in parts) == whole


def test_joint_batches_differ_from_single_edits_after_the_edit_only(files, whole):
    single, joint = list(read_rows(whole)), list(read_rows(run(files, "joint.jsonl", "--protocol", "batch:4")))
    assert {row.protocol for row in joint} == {"batch:4/counterfact"}
    assert [(row.key, row.editor, row.phase) for row in joint] == [(row.key, row.editor, row.phase) for row in single]
    pairs = list(zip(single, joint, strict=True))
    assert all(replace(a, protocol=b.protocol) == b for a, b in pairs if a.phase == "pre")
    # The fifth case is alone in the last block.
    alone = [(a, b) for a, b in pairs if a.case_id == 4 and a.logprobs_new]
    assert all(a.logprobs_new == pytest.approx(b.logprobs_new, abs=1e-4) for a, b in alone)
    others = [(a, b) for a, b in pairs if a.case_id < 4 and a.phase == "post" and a.logprobs_new]
    assert max(abs(a.logprobs_new[0] - b.logprobs_new[0]) for a, b in others) > 0.1


def test_texts_for_every_other_case(files):
    rows = list(read_rows(run(files, "some.jsonl", "--generate-every", "2")))
    assert {row.case_id for row in rows if row.kind == "generation"} == {0, 2, 4}


def test_first_n_and_measuring(files):
    rows = run(files, "first.jsonl", "--first", "3")
    out = ["--per-case", str(files / "cases.csv"), "--summary", str(files / "summary.csv")]
    measure.main(["--probes", str(rows), "--dataset", "counterfact", *out])
    summary = (files / "summary.csv").read_text().splitlines()
    assert summary[0] == "editor,metric,mean,low,high,normal_half_width,n"
    assert any(line.startswith("inside,efficacy_score,") and line.endswith(",3") for line in summary)
    assert any(line.startswith("none,generation_entropy,") for line in summary)
    assert (files / "cases.csv").read_text().splitlines()[0].startswith("editor,phase,protocol,seed,case_id,")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--variants", '{"x": {"editor": "random", "layers": [7]}}'], "layers [7] do not exist, the model has 0..2"),
        (["--variants", '{"x": {"editor": "magic"}}'], "no editing method called 'magic' is registered by --methods"),
        (["--variants", '{"x": {"layers": [1]}}'], "variant 'x' names no editor"),
        (["--methods", "papers.nobody.editor"], "--methods papers.nobody.editor: there is no such module"),
        (["--methods", "shared.nothing"], "--methods shared.nothing: there is no such module"),
        (["--variants", '{"x": {"editor": "random", "layers": [0], "speed": 3}}'], "does not take these settings"),
        (["--variants", '{"x": {"editor": "random_in_contexts", "contexts": "few"}}'], "add --contexts few=FILE"),
        (["--variants", '{"x": {"editor": "random_in_contexts", "needs_moments": true}}'], "needs `moments`"),
        (["--shard", "5-of-4"], "not of the form 2-of-8"),
        (["--protocol", "batch:0"], "protocol 'batch:0' is not `single` or `batch:N`"),
        (["--generate-every", "0"], "every is 0"),
        (["--cases", "nowhere.json"], "nowhere.json: cannot be read"),
    ],
)
def test_bad_input_ends_with_a_message_and_no_file(files, caplog, more, message):
    with pytest.raises(SystemExit):
        run(files, "never.jsonl", *more)
    assert message in caplog.text
    assert not (files / "never.jsonl").exists()


def test_a_subject_without_facts_is_named(files, caplog, tmp_path):
    (tmp_path / "cases.json").write_text(json.dumps([counterfact_record(0, "Nobody", "English", "French")]))
    with pytest.raises(SystemExit):
        run(files, "never.jsonl", "--cases", tmp_path / "cases.json")
    assert "subject 'Nobody' is not in the fact book 'tiny'" in caplog.text
