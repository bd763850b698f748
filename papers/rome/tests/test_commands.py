"""The command line on the golden model: edits that are saved and load again, traces, metrics, and clear refusals."""

import pytest
import torch
from peft import PeftModel
from safetensors.torch import save_file

from papers.rome.__main__ import main
from papers.rome.commands import CONFIG
from papers.rome.tests import golden
from shared.editing.adapters import load_edit
from shared.editing.published import editor_settings, find_moments
from shared.edits.deltas import applied
from shared.errors import ConfigError
from shared.model.models import load_lm

MODEL = str(golden.FOLDER / "model")
FACT = ["--subject", "Fes Seisax", "--prompt", "{} is originally from", "--target", "Nelim"]


@pytest.fixture(scope="module")
def moments(tmp_path_factory):
    path = tmp_path_factory.mktemp("moments") / "golden.safetensors"
    golden.moments().save(path)
    return str(path)


def _edit(*more):
    return main(["edit", "--model", MODEL, *FACT, "--layer", "3", "--length", "5", *more])


def test_an_edit_is_shown_and_saved_in_three_forms(moments, tmp_path, capsys):
    saved = {form: tmp_path / form for form in ("edit", "adapter", "model")}
    options = [text for form, path in saved.items() for text in (f"--save-{form}", str(path))]
    assert _edit("--moments", moments, "--true", "Brimom", "--also", "Ral Breigeik is originally from", *options) == 0
    shown = capsys.readouterr().out
    assert "p('Nelim')" in shown
    assert "Ral Breigeik is originally from" in shown
    lm, ids = golden.model(), torch.tensor([[5, 6, 7, 8]])
    with torch.no_grad(), applied(lm, load_edit(saved["edit"])):
        expected = lm.model(ids).logits
    with torch.no_grad():
        again = load_lm(saved["model"]).model(ids).logits
        adapted = PeftModel.from_pretrained(load_lm(MODEL).model, saved["adapter"]).eval()(ids).logits
    torch.testing.assert_close(again, expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(adapted, expected, atol=1e-4, rtol=1e-4)


def test_moments_can_be_collected_on_the_spot(tmp_path, capsys):
    corpus = golden.FOLDER / "moments" / "corpus.txt"
    assert _edit("--corpus", str(corpus)) == 0
    assert "update_norm" in capsys.readouterr().out


def test_a_trace_is_drawn_and_its_numbers_saved(tmp_path, capsys):
    out = tmp_path / "trace"
    prompt = ["--subject", "Fes Seisax", "--prompt", "Fes Seisax is originally from"]
    assert main(["trace", "--model", MODEL, *prompt, "--window", "3", "--samples", "2", "--out", str(out)]) == 0
    assert "answer ' Brimom'" in capsys.readouterr().out
    assert {path.suffix for path in tmp_path.iterdir()} == {".png", ".svg", ".csv"}
    assert len(out.with_suffix(".csv").read_text().splitlines()) == 1 + 3 * 5 * 6


def test_metrics_of_a_file_of_cases(moments, tmp_path, capsys):
    cases = str(golden.FOLDER / "requests.json")
    rows = tmp_path / "probes.jsonl"
    asked = ["--cases", cases, "--first", "2", "--layer", "3", "--moments", moments, "--out", str(rows)]
    assert main(["evaluate", "--model", MODEL, *asked]) == 0
    assert "efficacy_score" in capsys.readouterr().out
    assert rows.read_text().count('"post"') == 2 * 13


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--without-moments", "--layer", "9"], "layer 9 does not exist"),
        (["--prompt", "{} and {}"], "--prompt: got 2 slots"),
        (["--target", " "], "--target: got ' '"),
        ([], "--corpus FILE to collect them now"),
    ],
)
def test_what_cannot_be_done_is_said(arguments, message, capsys):
    assert _edit(*arguments) == 1
    assert message in capsys.readouterr().err


def test_moments_of_another_model_are_refused(moments, tmp_path, capsys):
    lm = load_lm(MODEL)
    other = tmp_path / "other"
    lm.model.save_pretrained(other)
    lm.tokenizer.save_pretrained(other)
    weights = {name: 1.01 * tensor for name, tensor in lm.model.state_dict().items() if name != "lm_head.weight"}
    save_file(weights, other / "model.safetensors", metadata={"format": "pt"})
    corpus = golden.FOLDER / "moments" / "corpus.txt"
    made = tmp_path / "made.safetensors"
    from shared.fit.moments import main as collect

    assert collect(["collect", "--model", MODEL, "--corpus", str(corpus), "--layers", "3", "--out", str(made)]) == 0
    assert _edit("--moments", str(made)) == 0
    assert main(["edit", "--model", str(other), *FACT, "--layer", "3", "--moments", str(made)]) == 1
    assert "model" in capsys.readouterr().err


def test_settings_follow_the_model():
    assert editor_settings(CONFIG, "openai-community/gpt2-xl", "rome")["layers"] == [17]
    assert editor_settings(CONFIG, "openai-community/gpt2-xl", "rome", [5])["layers"] == [5]
    with pytest.raises(ConfigError, match="no layer is known .* give --layer, for instance"):
        editor_settings(CONFIG, "my-model", "rome", hint="for instance here")
    with pytest.raises(ConfigError, match="'enn' is not one"):
        editor_settings(CONFIG, "gpt2-xl", "enn")


def test_moments_made_by_the_workflow_are_found(tmp_path):
    (tmp_path / "models" / "mine").mkdir(parents=True)
    assert find_moments(str(tmp_path / "models" / "mine")) is None
    (tmp_path / "moments").mkdir()
    (tmp_path / "moments" / "mine.safetensors").write_bytes(b"")
    assert find_moments(str(tmp_path / "models" / "mine")) == tmp_path / "moments" / "mine.safetensors"
