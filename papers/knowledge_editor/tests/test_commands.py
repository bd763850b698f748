import json

from papers.knowledge_editor.__main__ import main
from shared.tests.tiny import tiny_lm


def test_train_and_edit_ones_own_model(tmp_path, capsys):
    lm = tiny_lm("gpt2")
    lm.model.save_pretrained(tmp_path / "model")
    lm.tokenizer.save_pretrained(tmp_path / "model")
    edits = [{"input": f"Anna Bell {n} works as", "target": "a doctor"} for n in range(6)]
    (tmp_path / "edits.jsonl").write_text("\n".join(map(json.dumps, edits)))
    anchors = [{"input": f"Space {n} is in", "target": "Seattle"} for n in range(6)]
    (tmp_path / "anchors.jsonl").write_text("\n".join(map(json.dumps, anchors)))
    model = ["--model", str(tmp_path / "model")]
    given = ["--edits", str(tmp_path / "edits.jsonl"), "--anchors", str(tmp_path / "anchors.jsonl")]
    training = {"steps": 2, "edits_per_step": 2, "validate_every": 1, "validation_edits": 2}
    made = ["--layers", "1", "--validation", "2", "--training", json.dumps(training)]
    editor = str(tmp_path / "ke.safetensors")
    assert main(["train", *model, *given, *made, "--out", editor]) == 0
    assert "step 0: edit loss" in capsys.readouterr().out
    asked = ["--input", "Anna Bell works as", "--target", "a doctor"]
    assert main(["edit", *model, "--editor", editor, *asked]) == 0
    assert capsys.readouterr().out.count("before:") == 1
    assert main(["edit", *model, "--editor", editor, "--edits", str(tmp_path / "edits.jsonl")]) == 1
    assert "cannot write several facts together" in capsys.readouterr().err
