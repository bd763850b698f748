"""Every method through one door: it edits, says what changed, is saved, and is taken back bit for bit."""

import copy

import pytest
import torch
from peft import PeftModel

from shared import ModelEditor
from shared.__main__ import main
from shared.data.requests import read_counterfact
from shared.editing.catalogue import catalogue
from shared.editing.doctor import described, examine
from shared.editing.editors import registered
from shared.errors import ConfigError, DataError
from shared.model.models import load_lm
from shared.model.tokens import encode
from shared.provenance import REPOSITORY
from shared.tests.families import tiny_model

GOLDEN = REPOSITORY / "tests/golden"
MODEL, CORPUS = GOLDEN / "model", GOLDEN / "moments/corpus.txt"
CASES = read_counterfact(GOLDEN / "requests.json")
FACT, OTHER = CASES[0], CASES[1]
TRAINED = {"mend", "ke", "serac"}
# What the golden model, which no room knows, needs said; small searches.
SETTINGS = {
    "rome": {"layers": [3], "n_steps": 8},
    "memit": {"layers": [2, 3], "update_weight": 100, "n_steps": 8},
    "ft": {"layers": [3], "lr": 5e-3},
    "ft_l": {"layers": [3], "lr": 5e-3, "norm_constraint": 2e-2},
    "ft_w": {"layers": [3], "lr": 5e-3},
    "attn_edit": {"layers": [3], "lr": 5e-3, "norm_constraint": 2e-2},
    "kn": {"steps": 4},
    "t_patcher": {"memory": 4, "max_steps": 20},
    "ike": {"k": 2, "overflow": "truncate"},
    "prompt": {},
}
METHODS = sorted(set(catalogue()) - TRAINED)


@pytest.fixture(scope="module")
def lm():
    return load_lm(MODEL)


def editor_of(lm, method, **changes):
    inputs = {"corpus": CORPUS, "documents": 40, "pool": CASES[2:]}
    return ModelEditor(lm, method, **inputs, **(SETTINGS.get(method, {}) | changes))


def weights(lm):
    return {name: value.clone() for name, value in lm.model.state_dict().items()}


def same(lm, before):
    return all(torch.equal(value, before[name]) for name, value in lm.model.state_dict().items())


def answer(editor, case=FACT):
    return editor.probabilities(case.request.prompt.replace("{}", case.request.subject), case.request.target_new)


@pytest.mark.parametrize("method", catalogue())
def test_the_room_that_a_card_names_registers_the_method(method):
    catalogue()[method].load()
    assert method in registered()


@pytest.mark.parametrize("method", METHODS)
def test_an_edit_is_made_saved_and_taken_back(lm, method, tmp_path):
    before, editor = weights(lm), editor_of(lm, method)
    plain = answer(editor)
    outcome = editor.edit(FACT)
    edited = answer(editor)
    assert edited != plain
    rewrite = outcome.probes.query("kind == 'rewrite'").set_index("target")
    target = FACT.request.target_new
    assert rewrite.before[target] == pytest.approx(plain[target], rel=1e-4)
    assert rewrite.after[target] == pytest.approx(edited[target], rel=1e-3)
    assert list(outcome.metrics.columns) == ["before", "after"]
    editor.save(tmp_path)
    editor.undo()
    assert same(lm, before)
    assert answer(editor) == plain
    editor.load(tmp_path)
    assert answer(editor) == edited
    editor.undo()
    assert same(lm, before)


def test_one_edit_among_others_is_taken_out(lm):
    before = weights(lm)
    with editor_of(lm, "rome") as editor:
        editor.edit(FACT)
        second = editor.edit(OTHER).edit
        both = answer(editor)
        editor.remove(0)
        assert editor.edits == [second]
        assert answer(editor) != both
        assert not same(lm, before)
    assert same(lm, before)


def test_facts_of_one_call_hold_together(lm):
    with editor_of(lm, "memit") as editor:
        outcome = editor.edit(FACT, OTHER)
        assert len(editor.edits) == 1
        assert set(outcome.probes.case_id) == {FACT.case_id, OTHER.case_id}


def test_a_fact_without_its_true_object_is_asked_about_too(lm):
    fact = {"subject": FACT.request.subject, "prompt": FACT.request.prompt, "target_new": FACT.request.target_new}
    with editor_of(lm, "rome") as editor:
        assert "efficacy_accuracy" in editor.edit(fact).metrics.index


@torch.no_grad()
@pytest.mark.parametrize("method", ["rome", "memit"])
def test_peft_loads_what_several_edits_add_up_to(lm, method, tmp_path):
    ids = torch.tensor([encode(lm, FACT.request.prompt.replace("{}", FACT.request.subject))])
    with editor_of(lm, method) as editor:
        editor.edit(FACT)
        editor.edit(OTHER)
        expected = lm.model(ids).logits
        editor.save_adapter(tmp_path / "adapter")
        editor.save_model(tmp_path / "model")
    adapted = PeftModel.from_pretrained(copy.deepcopy(lm.model), tmp_path / "adapter").eval()
    torch.testing.assert_close(adapted(ids).logits, expected, atol=1e-4, rtol=1e-5)
    torch.testing.assert_close(load_lm(tmp_path / "model").model(ids).logits, expected, atol=1e-5, rtol=1e-5)


def test_what_cannot_be_done_says_why(lm, tmp_path):
    with pytest.raises(ConfigError, match="choose one of"):
        ModelEditor(lm, "rime")
    with pytest.raises(ConfigError, match="give layers"):
        ModelEditor(lm, "rome")
    with pytest.raises(ConfigError, match="moments"):
        ModelEditor(lm, "rome", layers=[3])
    with pytest.raises(ConfigError, match="trained editor"):
        ModelEditor(lm, "mend")
    with pytest.raises(ConfigError, match="trained parts"):
        ModelEditor(lm, "serac")
    editor = editor_of(lm, "prompt")
    with pytest.raises(DataError, match="fact 0, field prompt"):
        editor.edit({"subject": "a", "prompt": "He is", "target_new": "b"})
    with pytest.raises(ConfigError, match="carries 0"):
        editor.undo()
    editor.edit(FACT)
    with pytest.raises(ConfigError, match="one call"):
        editor.edit(OTHER)
    with pytest.raises(ConfigError, match="not in the weights"):
        editor.save_model(tmp_path)
    with pytest.raises(ConfigError, match="not in the weights"):
        editor.save_adapter(tmp_path)


def test_saving_again_leaves_no_edit_of_before(lm, tmp_path):
    with editor_of(lm, "prompt") as editor:
        (tmp_path / "edit_001.safetensors").write_bytes(b"of an edit that was taken back")
        editor.edit(FACT)
        editor.save(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["edit_000.safetensors"]


def test_the_doctor_finds_what_is_wrong(lm, monkeypatch):
    assert all(check.holds for check in examine(lm))
    monkeypatch.setattr(lm.arch, "final_norm", torch.nn.Identity())
    assert [check.holds for check in examine(lm)] == [False, True, True, True]


def test_both_stacks_of_an_encoder_decoder_are_described():
    assert {"encoder key site", "decoder key site"} <= set(described(tiny_model("t5")))


def test_the_command_line_edits_and_examines(capsys, tmp_path):
    fact = ["--subject", "Bel Ardis", "--prompt", "{} works as a", "--target", "pilot"]
    rome = ["edit", "--method", "rome", "--model", str(MODEL), "--corpus", str(CORPUS), "--documents", "60"]
    assert main([*rome, *fact, "--set", "layers=[3]", "n_steps=4", "--save", str(tmp_path)]) == 0
    assert "rewrite" in capsys.readouterr().out
    assert list(tmp_path.iterdir())
    assert main([*rome, *fact[:4], "--set", "layers=[3]"]) == 1
    assert "--target" in capsys.readouterr().err
    assert main(["doctor", "--model", str(MODEL)]) == 0
    assert capsys.readouterr().out.count("PASS") == 4
    assert main(["methods"]) == 0
    assert "second moments" in capsys.readouterr().out
