"""Every number of the authors' joint edit, from the tokens of the seven texts to the answers of the edited model."""

from functools import cache

import pytest
import torch

from papers.memit.editor import MemitEditor
from papers.memit.insertion import insert_together
from papers.memit.solution import adjusted_keys
from papers.memit.targets import search_targets, target_problem, wanted_targets
from papers.memit.tests import golden
from papers.memit.tests.golden import LAYERS, SETTINGS, relative
from shared.editing.evaluate import EvaluationOptions, answer, ask
from shared.edits.deltas import applied

WANTED = {"rewrite": "target_new", "paraphrase": "target_new", "neighborhood": "target_true"}


@cache
def _found():
    return search_targets(golden.model(), wanted_targets(golden.requests()), golden.prompts(), SETTINGS)


@cache
def _updates():
    targets = golden.edit()["zs"].T.contiguous()
    seen = {}
    made = insert_together(
        golden.model(),
        golden.prompts(),
        targets,
        SETTINGS,
        golden.moments(),
        observe=lambda update: seen.update({update.layer: update}),
    )
    return seen, made


@pytest.mark.parametrize("index", range(16))
def test_tokens_and_lookup_positions(index):
    facts = golden.texts()["z"][index]
    wanted = wanted_targets(golden.requests())[index]
    assert wanted.name == str(facts["case_id"])
    problem = target_problem(golden.model(), wanted, [golden.prompts()[index]], "subject_last")
    anchor = problem.anchor
    for row, theirs in zip(problem.rows, facts["rows"][:-1], strict=True):
        assert list(row.ids) == theirs[: len(row.ids)]
        assert set(theirs[len(row.ids) :]) <= {0}
    assert [*problem.lookups, len(anchor.ids) - 1] == facts["lookup_idxs"]
    assert list(anchor.ids) == facts["rows"][-1][: len(anchor.ids)]
    assert list(problem.rows[0].tokens) == facts["target_ids"]


@pytest.mark.parametrize("index", range(16))
def test_every_search(index):
    found, theirs = _found()[index], golden.edit()
    counts = theirs["n_forward"].tolist()
    start = sum(counts[:index])
    assert len(found.terms) == counts[index]
    assert relative(found.terms, theirs["loss_terms"][start : start + counts[index]]) < 1e-5
    assert relative(found.initial, theirs["target_init"][:, index]) < 1e-6
    assert relative(found.delta, theirs["z_delta"][:, index]) < 1e-5
    assert relative(found.value, theirs["zs"][:, index]) < 1e-5


@pytest.mark.parametrize("layer", LAYERS)
def test_every_layer(layer):
    update, theirs = _updates()[0][layer], golden.edit()
    assert update.module == f"transformer.h.{layer}.mlp.c_proj"
    assert relative(update.keys, theirs[f"layer{layer}.keys"]) < 1e-6
    assert relative(update.current, theirs[f"layer{layer}.cur_z"]) < 1e-6
    assert relative(update.adjusted, theirs[f"layer{layer}.adj_k"].T) < 1e-5
    assert relative(update.share, theirs[f"layer{layer}.resid"].T) < 1e-5


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("solver", ["small", "dense"])
def test_both_forms_solve_the_authors_equation(layer, solver):
    """From their own keys, to float64 accuracy: they solve the dense system by LU."""
    keys, theirs = golden.edit()[f"layer{layer}.keys"], golden.edit()[f"layer{layer}.adj_k"]
    ours = adjusted_keys(keys, golden.moments(), layer, SETTINGS.update_weight, solver=solver)
    assert relative(ours, theirs.T) < 1e-11


@pytest.mark.parametrize("place", range(len(LAYERS)))
def test_weight_changes(place):
    delta, theirs = _updates()[1].deltas[place], golden.edit()
    layer = LAYERS[place]
    expected = theirs[f"layer{layer}.adj_k"] @ theirs[f"layer{layer}.resid"].T
    assert relative(delta.matrix(), expected) < 1e-5
    assert delta.norm() == pytest.approx(golden.texts()["delta_W_norm"][f"layer{layer}"], rel=1e-5)


def test_answers_of_the_edited_model():
    editor = MemitEditor(
        moments=golden.moments(), contexts=golden.contexts(), layers=LAYERS, update_weight=SETTINGS.update_weight
    )
    lm = golden.model()
    options = EvaluationOptions(protocol="counterfact", edit_batch=16)
    probes = [probe for case in golden.cases() for probe in ask(case, options)]
    with applied(lm, editor.edit(lm, golden.requests())), torch.no_grad():
        rows = answer(lm, probes, options)
    checked = 0
    for row in rows:
        theirs = golden.texts()["post"][str(row.case_id)]
        if row.kind not in WANTED or row.prompt_index >= len(theirs[row.kind]):
            continue
        ours = [-sum(values) / len(values) for values in (row.logprobs_new, row.logprobs_true)]
        assert ours == pytest.approx(theirs[row.kind][row.prompt_index], abs=2e-4)
        flags = row.correct_new if WANTED[row.kind] == "target_new" else row.correct_true
        assert all(flags) == theirs[f"{row.kind}_correct"][row.prompt_index]
        checked += 1
    assert checked == sum(len(answers[kind]) for answers in golden.texts()["post"].values() for kind in WANTED)
