"""The editor behind the common door, on the golden model."""

import pytest
import torch

from papers.t_patcher.editor import TPatcherEditor
from papers.t_patcher.tests.golden import FOLDER, golden_lm
from shared.data.requests import read_counterfact
from shared.data.templates import fill
from shared.editing.editors import make_editor
from shared.editing.evaluate import EvaluationOptions, evaluate_single
from shared.edits.deltas import applied
from shared.errors import ConfigError
from shared.inference.scoring import score_targets
from shared.model.tokens import encode, target_ids

CASES = read_counterfact(FOLDER / "requests.json")
SETTINGS = {"memory_top": 10, "max_steps": 300}


def holds(lm, request):
    prompt = encode(lm, fill(request.prompt, request.subject))
    return all(score_targets(lm, [prompt], [target_ids(lm, request.target_new)])[0].correct)


def test_requests_hold_after_their_edits():
    lm = golden_lm()
    weights = {name: value.clone() for name, value in lm.model.state_dict().items()}
    editor = make_editor("t_patcher", pool=CASES, **SETTINGS)
    requests = [CASES[0].request, CASES[1].request]
    assert not any(holds(lm, request) for request in requests)
    each = editor.edit_each(lm, requests)
    for edit, request in zip(each, requests, strict=True):
        assert (edit.kind, edit.deltas) == ("neurons", ())
        with applied(lm, edit):
            assert holds(lm, request)
    with applied(lm, editor.edit(lm, requests)):
        assert all(holds(lm, request) for request in requests)
    assert all(torch.equal(value, weights[name]) for name, value in lm.model.state_dict().items())


def test_edits_are_scored_row_by_row():
    lm = golden_lm()
    editor = TPatcherEditor(CASES, **SETTINGS)
    rows = list(evaluate_single(lm, editor, CASES[:2], EvaluationOptions()))
    rewrites = [row for row in rows if row.kind == "rewrite" and row.phase == "post"]
    assert rewrites
    assert all(all(row.correct_new) for row in rewrites)


def test_an_editor_needs_something_to_remember():
    with pytest.raises(ConfigError, match="nothing to remember"):
        TPatcherEditor()
    with pytest.raises(ConfigError, match="needs a stream"):
        TPatcherEditor(CASES, memory_loss="kl")
    assert TPatcherEditor(memory_loss="none").settings.memory_loss == "none"
