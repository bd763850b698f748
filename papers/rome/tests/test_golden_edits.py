"""Every number of the authors' single edits, from the tokens of the 22 texts to the weight change."""

from functools import cache

import pytest
import torch

from papers.rome.editor import edit_layer
from papers.rome.hyperparams import RomeHyperparams
from papers.rome.key import subject_keys, update_direction
from papers.rome.tests import golden
from papers.rome.tests.golden import CASES, LAYERS, relative
from papers.rome.update import residuals
from papers.rome.value import target_values, value_problem
from shared.fit.contexts import in_contexts


@cache
def _computed(layer):
    lm, requests = golden.model(), [golden.requests()[case] for case in CASES]
    prompts = [in_contexts(lm, request, golden.contexts(), "subject_last") for request in requests]
    keys = subject_keys(lm, prompts, layer)
    values = target_values(lm, requests, prompts, layer, RomeHyperparams((layer,)))
    return prompts, keys, update_direction(keys.mean_key, golden.moments(), layer), values


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("index", range(len(CASES)))
def test_every_intermediate_number(layer, index):
    prompts, keys, directions, values = _computed(layer)
    place = f"{CASES[index]}.{layer}"
    theirs = {key.removeprefix(f"{place}."): t for key, t in golden.edits().items() if key.startswith(f"{place}.")}
    assert relative(keys.mean_key[index], theirs["k_mean"]) < 1e-6
    assert relative(keys.plain_key[index], theirs["k_plain"]) < 1e-6
    assert relative(keys.plain_value[index], theirs["m_plain"]) < 1e-6
    # The authors invert the ill-conditioned moment in float32.
    assert relative(directions[index], theirs["u"]) < 5e-4
    assert relative(directions[index], theirs["u_from_float64_moment"]) < 7.5e-5
    assert relative(values[index].initial, theirs["target_init"]) < 1e-6
    assert relative(values[index].delta, theirs["delta"]) < 1e-5
    assert relative(values[index].value, theirs["v_star"]) < 1e-5
    assert len(values[index].terms) == golden.texts()[place]["n_forward"]
    assert relative(values[index].terms, theirs["loss_terms"]) < 1e-5
    key, residual = residuals(keys, values, "original")
    assert relative(residual[index] / (key[index] @ theirs["u"]), theirs["right_vector"]) < 1e-5


@pytest.mark.parametrize("layer", LAYERS)
def test_tokens_and_lookup_positions(layer):
    lm, prompts = golden.model(), _computed(layer)[0]
    for case, contexts in zip(CASES, prompts, strict=True):
        facts = golden.texts()[f"{case}.{layer}"]
        problem = value_problem(lm, golden.requests()[case], contexts, "subject_last")
        assert [list(row.ids) for row in problem.rows] == facts["rows"][:-1]
        assert [*problem.lookups, len(problem.anchor.ids) - 1] == facts["lookup_idxs"]
        assert list(problem.anchor.ids) == facts["rows"][-1][: facts["lookup_idxs"][-1] + 1]
        assert list(problem.rows[0].tokens) == facts["target_ids"]


@pytest.mark.parametrize("layer", LAYERS)
def test_weight_changes(layer):
    lm, requests = golden.model(), [golden.requests()[case] for case in CASES]
    edits = edit_layer(lm, requests, layer, RomeHyperparams((layer,)), golden.contexts(), golden.moments())
    for case, edit in zip(CASES, edits, strict=True):
        theirs = golden.edits()
        expected = torch.outer(theirs[f"{case}.{layer}.u"], theirs[f"{case}.{layer}.right_vector"])
        assert edit.deltas[0].module == f"transformer.h.{layer}.mlp.c_proj"
        assert relative(edit.deltas[0].matrix(), expected) < 5e-4
        assert edit.info["update_norm"] == pytest.approx(golden.texts()[f"{case}.{layer}"]["delta_W_norm"], rel=1e-4)
