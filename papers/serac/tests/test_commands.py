import json

import pytest

from papers.serac.__main__ import main
from papers.serac.scope import EmbeddingScope, save_scope
from shared.tests.families import tiny_model


def test_a_memory_is_kept_from_the_command_line(tmp_path, capsys):
    memory = ["--memory", str(tmp_path / "edits.log")]
    (tmp_path / "edits.jsonl").write_text(json.dumps({"input": "b?", "target": "two"}) + "\n" + '{"input": "c is d"}\n')
    assert main(["add", *memory, "--input", "a?", "--target", "one"]) == 0
    assert main(["add", *memory, "--edits", str(tmp_path / "edits.jsonl")]) == 0
    assert main(["remove", *memory, "1"]) == 0
    capsys.readouterr()
    assert main(["list", *memory]) == 0
    assert capsys.readouterr().out.split() == ["0", "a?", "->", "one", "2", "c", "is", "d"]
    assert main(["compact", *memory]) == 0
    assert capsys.readouterr().out.startswith("2 edits; ")
    assert b"remove" not in (tmp_path / "edits.log").read_bytes()
    assert main(["remove", *memory, "9"]) == 1
    assert "no edit 9" in capsys.readouterr().err
    assert main(["compact", "--memory", str(tmp_path / "none.log")]) == 1
    assert "`add` makes it" in capsys.readouterr().err


@pytest.mark.parametrize(("family", "kind"), [("t5", "seq2seq"), ("bert_one_logit", "classifier")])
def test_questions_are_asked_with_and_without_the_memory(family, kind, tmp_path, capsys):
    lm, encoder = tiny_model(family), tiny_model("bert_masked")
    (tmp_path / "scope").mkdir()
    save_scope(EmbeddingScope(encoder.model.base_model, encoder.tokenizer), tmp_path / "scope")
    for name in ("base", "counterfactual"):
        lm.model.save_pretrained(tmp_path / name)
        lm.tokenizer.save_pretrained(tmp_path / name)
    memory = ["--memory", str(tmp_path / "edits.log")]
    asked = ["ask", *memory, "--model", str(tmp_path / "base"), "--parts", str(tmp_path), "--kind", kind]
    assert main([*asked, "who ?"]) == 1
    assert "does not exist; `add` makes it" in capsys.readouterr().err
    # The same text as an edit asserted true and as an input is [SEP] apart, so far nearer than any other.
    assert main(["add", *memory, "--input", "anna works as a doctor"]) == 0
    assert main([*asked, "anna works as a doctor", "one two one two"]) == 0
    shown = capsys.readouterr().out
    assert shown.count("without the memory:") == 2
    assert "covered by" in shown
