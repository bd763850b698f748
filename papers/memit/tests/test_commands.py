"""The command line on the golden model: many facts at once, saved in three forms, metrics, and clear refusals."""

import json

import pytest
import torch
from peft import PeftModel

from papers.memit.__main__ import main
from papers.memit.tests import golden
from shared.editing.adapters import load_edit
from shared.edits.deltas import applied
from shared.model.models import load_lm

MODEL = str(golden.FOLDER / "model")
SETTINGS = ["--layers", "1", "2", "3", "--weight", "10", "--length", "5", "--show", "2"]


@pytest.fixture
def files(tmp_path):
    """Second moments, and requests in files: a few, and more than the model is wide."""
    golden.moments().save(tmp_path / "moments.safetensors")
    own = [request.model_dump(include={"subject", "prompt", "target_new"}) for request in golden.requests()]
    (tmp_path / "few.jsonl").write_text("\n".join(map(json.dumps, own[:3])) + "\n")
    many = [{**own[place % 8], "subject": f"{own[place % 8]['subject']} {place}"} for place in range(140)]
    (tmp_path / "many.jsonl").write_text("\n".join(map(json.dumps, many)) + "\n")
    return tmp_path


def _edit(files, requests, *more):
    given = ["--requests", str(files / requests), "--moments", str(files / "moments.safetensors"), *SETTINGS]
    return main(["edit", "--model", MODEL, *given, *more])


def test_facts_are_written_shown_and_saved_in_three_forms(files, capsys):
    saved = {form: files / form for form in ("edit", "adapter", "model")}
    options = [text for form, path in saved.items() for text in (f"--save-{form}", str(path))]
    assert _edit(files, "few.jsonl", *options) == 0
    shown = capsys.readouterr().out
    assert "3 facts in transformer.h.1.mlp.c_proj, transformer.h.2" in shown
    assert shown.count("before:") == 2
    _assert_same(saved)


def test_an_edit_of_full_rank_is_an_adapter_as_well(files, monkeypatch):
    from papers.memit import commands

    build = commands.build_editor

    def quick(options, lm):
        editor = build(options, lm)
        object.__setattr__(editor.hyperparams, "n_steps", 2)
        return editor

    monkeypatch.setattr(commands, "build_editor", quick)
    saved = {form: files / form for form in ("edit", "adapter", "model")}
    options = [text for form, path in saved.items() for text in (f"--save-{form}", str(path))]
    assert _edit(files, "many.jsonl", "--show", "0", *options) == 0
    assert load_edit(saved["edit"]).deltas[0].dense is not None
    _assert_same(saved)


def _assert_same(saved):
    lm, ids = golden.model(), torch.tensor([[5, 6, 7, 8]])
    with torch.no_grad():
        with applied(lm, load_edit(saved["edit"])):
            expected = lm.model(ids).logits
        again = load_lm(saved["model"]).model(ids).logits
        adapted = PeftModel.from_pretrained(load_lm(MODEL).model, saved["adapter"]).eval()(ids).logits
        assert not torch.allclose(lm.model(ids).logits, expected, atol=1e-3)
    torch.testing.assert_close(again, expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(adapted, expected, atol=1e-3, rtol=1e-3)


def test_cases_are_evaluated_in_joint_batches(files, capsys):
    cases = ["--cases", str(golden.FOLDER / "requests.json"), "--first", "4", "--protocol", "batch:2"]
    moments = ["--moments", str(files / "moments.safetensors"), "--layers", "1", "2", "3", "--weight", "10"]
    assert main(["evaluate", "--model", MODEL, *cases, *moments, "--out", str(files / "probes.jsonl")]) == 0
    shown = capsys.readouterr().out
    assert "efficacy_accuracy" in shown
    assert len((files / "probes.jsonl").read_text().splitlines()) > 40


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--moments", "nowhere"], "nowhere: no such file of second moments"),
        (["--layers", "9"], "layer 9 does not exist"),
        (["--weight", "0"], "update_weight is 0"),
    ],
)
def test_what_cannot_be_done_is_explained(files, more, message, capsys):
    assert _edit(files, "few.jsonl", *more) == 1
    assert message in capsys.readouterr().err


def test_an_unknown_model_needs_layers_and_a_weight(files, capsys):
    given = ["--requests", str(files / "few.jsonl"), "--moments", str(files / "moments.safetensors")]
    assert main(["edit", "--model", MODEL, *given]) == 1
    assert "give --layer, the layers where tracing" in capsys.readouterr().err
    assert main(["edit", "--model", MODEL, *given, "--layers", "1"]) == 1
    assert "give --weight" in capsys.readouterr().err


def test_contradicting_facts_are_refused_unless_allowed(files, capsys):
    line = json.loads((files / "few.jsonl").read_text().splitlines()[0])
    with (files / "few.jsonl").open("a") as lines:
        lines.write(json.dumps({**line, "target_new": "Sprolk"}) + "\n")
    assert _edit(files, "few.jsonl") == 1
    assert "wants 'Sprolk'" in capsys.readouterr().err
    assert _edit(files, "few.jsonl", "--allow-conflicts", "--show", "0") == 0
