import pytest
import torch

from papers.mend.tests.golden import (
    CASES,
    FOLDER,
    MODULES,
    batch_of,
    edits_of,
    golden_editor,
    golden_lm,
    our_name,
    relative,
)
from shared.data.requests import read_counterfact
from shared.edits.deltas import applied
from shared.edits.factor_edits import edit_of, edited_rows
from shared.edits.gradient_factors import token_factors
from shared.inference.text_batches import divergence, predictions
from shared.learning.learned_editors import Edits, group_divergences, group_losses, linear_maps, request_pair
from shared.records import read_tensors

ROUNDING = 1e-5
STATISTICS = 1e-4  # the authors' code sums squares in float32


@pytest.fixture(scope="module")
def lm():
    return golden_lm()


@pytest.fixture(scope="module", params=["single", "pair"])
def case(request):
    return request.param, read_tensors(FOLDER / f"mend/{request.param}.safetensors")


def test_factors_are_the_authors(lm):
    theirs = read_tensors(FOLDER / "mend/single.safetensors")
    edits = edits_of("single")

    def loss():
        return group_losses(predictions(lm, edits.batch), edits.batch, edits.group, 1).sum()

    for name, (u, delta) in token_factors(linear_maps(lm.model, MODULES), loss).items():
        assert relative(u, theirs[f"{name}.weight.x"]) < ROUNDING
        assert relative(delta, theirs[f"{name}.weight.delta"]) < ROUNDING


def test_rows_are_kept_normalised_and_transformed_as_theirs(lm, case):
    name, theirs = case
    editor = golden_editor(lm)
    found = editor.factors(lm, edits_of(name))
    for module, (u, delta) in editor.transformed(found, training=False).items():
        assert len(found[module].u) == int(theirs[f"{module}.weight.nz_mask"].sum())
        assert relative(u, theirs[f"{module}.weight.x_tilde"]) < STATISTICS
        assert relative(delta, theirs[f"{module}.weight.delta_tilde"]) < STATISTICS
        if name == "single":
            shape = "x".join(map(str, (u.shape[1], delta.shape[1])))
            sides = zip(editor.norms[shape], (found[module].u, found[module].delta), ("x", "delta"), strict=True)
            for norm, rows, side in sides:
                assert relative(norm(rows), theirs[f"{module}.weight.{side}_norm"]) < STATISTICS


def test_weight_changes_and_losses_are_theirs(lm, case):
    name, theirs = case
    stated = CASES["cases"][name]
    edits = edits_of(name)
    with torch.no_grad():
        made = edit_of(golden_editor(lm).changes(lm, edits), 0)
    for delta in made.deltas:
        if f"{delta.module}.weight.delta_W" in theirs:
            assert relative(delta.matrix(), theirs[f"{delta.module}.weight.delta_W"]) < STATISTICS
        assert (
            delta.norm() == pytest.approx(stated["delta_W_fro"][f"{delta.module}.weight"], rel=STATISTICS)
            or name == "pair"
        )
    outer = batch_of(stated["edit_outer"])
    rows = torch.zeros(len(outer), dtype=torch.long)
    assert float(group_losses(predictions(lm, outer), outer, rows, 1)) == pytest.approx(
        stated["nll_outer_pre"], rel=1e-5
    )
    with applied(lm, made):
        after = float(group_losses(predictions(lm, edits.batch), edits.batch, edits.group, 1))
        assert after == pytest.approx(stated["nll_inner_post"], rel=STATISTICS)
        assert float(group_losses(predictions(lm, outer), outer, rows, 1)) == pytest.approx(
            stated["l_edit"], rel=STATISTICS
        )


def test_outer_losses_and_their_gradients_are_theirs(lm):
    stated, theirs = CASES["cases"]["pair"], read_tensors(FOLDER / "mend/outer_gradients.safetensors")
    editor = golden_editor(lm)
    outer, local = batch_of(stated["edit_outer"]), batch_of(stated["loc"])
    changes = editor.changes(lm, edits_of("pair"))
    with edited_rows(lm.model, changes, torch.zeros(len(outer), dtype=torch.long)):
        edit_loss = group_losses(predictions(lm, outer), outer, torch.zeros(len(outer), dtype=torch.long), 1).sum()
    with torch.no_grad():
        before = predictions(lm, local)
    with edited_rows(lm.model, changes, torch.zeros(len(local), dtype=torch.long)):
        kept = divergence(before, predictions(lm, local), local)
        local_loss = group_divergences(kept, local, torch.zeros(len(local), dtype=torch.long), 1).sum()
    assert edit_loss.item() == pytest.approx(stated["l_edit"], rel=STATISTICS)
    assert local_loss.item() == pytest.approx(stated["l_loc"], rel=1e-2)
    total = 0.1 * edit_loss + local_loss
    assert total.item() == pytest.approx(stated["l_total_edit"], rel=STATISTICS)
    total.backward()
    ours = {name: parameter.grad for name, parameter in editor.named_parameters()}
    for name, value in theirs.items():
        gradient = ours[our_name(name.removeprefix("grad."))]
        assert relative(gradient[: len(value)], value) < 10 * STATISTICS, name
    norms = {our_name(name): norm for name, norm in stated["outer_grad_norms"].items()}
    for name, gradient in ours.items():
        assert float(gradient.norm()) == pytest.approx(norms[name], rel=10 * STATISTICS)


def test_running_statistics_are_theirs(lm):
    theirs = read_tensors(FOLDER / "mend/editor.safetensors")
    editor = golden_editor(lm)
    fresh = type(editor)(lm, MODULES, rank=64)
    cases = {case.case_id: case for case in read_counterfact(FOLDER / "requests.json")}
    for case_id in CASES["norm_stat_case_ids"]:
        edits = Edits.of(lm, [[request_pair(lm, cases[case_id].request)]])
        fresh.transformed(fresh.factors(lm, edits), training=True)
    for key, norms in fresh.norms.items():
        shape = f"mend.({key.replace('x', ', ')})"
        for norm, side in zip(norms, "uv", strict=True):
            assert float(norm.count) == float(theirs[f"{shape}.k"])
            assert relative(norm.mean, theirs[f"{shape}.{side}_mean"]) < ROUNDING
            assert relative(norm.squares, theirs[f"{shape}.{side}_s"]) < STATISTICS
