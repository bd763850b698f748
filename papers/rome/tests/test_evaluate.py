"""ROME and its baselines under the shared evaluation, end to end on a tiny random model."""

import json

import pytest

from shared.data.probes import read_rows
from shared.editing import edit_cases
from shared.fit import sample_contexts
from shared.tests.records import counterfact_record
from shared.tests.tiny import tiny_lm

METHODS = ["papers.rome.editor", "papers.rome.baselines"]
VARIANTS = {
    "rome": {"editor": "rome", "layers": [1], "n_steps": 3, "mom2_adjustment": False},
    "ft": {"editor": "ft", "n_steps": 2, "grid": {"layer": [0, 2]}},
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
    asked = ["--model", folder / "model", "--lengths", "[[4, 2]]", "--paper", "rome", "--out", folder / "contexts.json"]
    sample_contexts.main(list(map(str, asked)))
    return folder


def run(files, out, *more):
    options = ["--methods", *METHODS, "--model", files / "model", "--dataset", "counterfact"]
    options += ["--cases", files / "cases.json", "--variants", files / "variants.json"]
    options += ["--contexts", files / "contexts.json", "--block", 2, "--out", files / out]
    edit_cases.main([str(word) for word in [*options, *more]])
    return files / out


@pytest.fixture(scope="module")
def whole(files):
    return run(files, "whole.jsonl")


def test_rows_of_every_variant_beside_one_unedited_model(whole):
    rows = list(read_rows(whole))
    editors = list(dict.fromkeys(row.editor for row in rows))
    assert editors == ["none", "rome", "ft layer=0", "ft layer=2"]
    rewrites = [row for row in rows if row.kind == "rewrite" and row.case_id == 0]
    assert len({row.logprobs_new for row in rewrites}) == len(editors)


@pytest.mark.parametrize("shards", [2])
def test_shards_give_the_same_bytes_as_one_run(files, whole, shards):
    parts = [run(files, f"{n}.jsonl", "--shard", f"{n}-of-{shards}") for n in range(1, shards + 1)]
    assert b"".join(part.read_bytes() for part in parts) == whole.read_bytes()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ('{"rome": {"editor": "rome", "layers": [1], "contexts": "few"}}', "add --contexts few=FILE"),
        ('{"rome": {"editor": "rome", "layers": [1]}}', "needs `moments`"),
        ('{"r": {"editor": "r_rome", "layers": [1]}}', "needs `moments`"),
        ('{"ft": {"editor": "ft", "layers": [0], "speed": 3}}', "does not take these settings"),
    ],
)
def test_bad_input_ends_with_a_message_and_no_file(files, caplog, settings, message):
    with pytest.raises(SystemExit):
        run(files, "never.jsonl", "--variants", settings)
    assert message in caplog.text
    assert not (files / "never.jsonl").exists()
