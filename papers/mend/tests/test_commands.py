import json

import pytest
import torch

from papers.mend.__main__ import main
from shared.tests.tiny import tiny_lm


@pytest.fixture
def files(tmp_path):
    lm = tiny_lm("gpt2")
    lm.model.save_pretrained(tmp_path / "model")
    lm.tokenizer.save_pretrained(tmp_path / "model")
    edits = [
        {"input": f"Anna Bell {n} works as", "target": "a doctor", "equivalents": [f"The work of Anna Bell {n} is"]}
        for n in range(8)
    ]
    (tmp_path / "edits.jsonl").write_text("\n".join(map(json.dumps, edits)))
    anchors = [{"input": f"Space {n} is in", "target": "Seattle"} for n in range(6)]
    (tmp_path / "anchors.jsonl").write_text("\n".join(map(json.dumps, anchors)))
    return tmp_path


def arguments(files, *more):
    return [
        *("train", "--model", str(files / "model"), "--edits", str(files / "edits.jsonl")),
        *("--anchors", str(files / "anchors.jsonl"), "--validation", "2", "--layers", "1", "2"),
        *("--training", '{"steps": 2, "edits_per_step": 2, "validate_every": 1, "validation_edits": 2}'),
        *("--settings", '{"rank": 8, "rate": 0.1}', "--out", str(files / "mend.safetensors"), *more),
    ]


def test_train_and_edit_ones_own_model(files, capsys):
    assert main(arguments(files)) == 0
    shown = capsys.readouterr().out
    assert "step 0: edit loss" in shown
    assert not (files / "mend.safetensors.checkpoint").exists()
    edit = ["edit", "--model", str(files / "model"), "--editor", str(files / "mend.safetensors")]
    asked = ["--input", "Anna Bell works as", "--target", "a doctor", "--also", "Anna Bell is"]
    assert main([*edit, *asked, "--save-edit", str(files / "edit.safetensors")]) == 0
    shown = capsys.readouterr().out
    assert shown.count("before:") == 2
    assert "p('a doctor')" in shown
    assert (files / "edit.safetensors").exists()
    assert main([*edit, "--edits", str(files / "edits.jsonl")]) == 0
    assert capsys.readouterr().out.count("after:") == 8


def test_faults_are_explained(files, capsys):
    assert main(arguments(files, "--validation", "7")) == 1
    assert "at least two more are needed" in capsys.readouterr().err
    assert main(arguments(files, "--kind", "seq2seq")) == 1
    assert main(arguments(files)) == 0
    other = tiny_lm("gpt2", seed=3)
    with torch.no_grad():
        other.model.save_pretrained(files / "model")
    edit = ["edit", "--model", str(files / "model"), "--editor", str(files / "mend.safetensors")]
    assert main([*edit, "--input", "Anna", "--target", "doctor"]) == 1
    assert "was trained on the model with digest" in capsys.readouterr().err
    assert main([*edit, "--input", "Anna"]) == 1
    assert "--input with --target" in capsys.readouterr().err
