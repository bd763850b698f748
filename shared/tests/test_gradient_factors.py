import pytest
import torch
from transformers.pytorch_utils import Conv1D

from shared.edits.deltas import applied
from shared.edits.factor_edits import Dense, LowRank, edit_of, edited_rows
from shared.edits.gradient_factors import factor_rows, token_factors
from shared.errors import ModelError
from shared.inference.text_batches import predictions
from shared.learning.learned_editors import Edits, group_losses, linear_maps
from shared.tests.episodes import FAMILIES, model_of, modules_of, pool_of


def edits_of(family, groups):
    pool = pool_of(family)
    return Edits.of(pool.lm, [[(pool.examples[i].row, pool.examples[i].condition) for i in group] for group in groups])


def captured(lm, edits):
    maps = linear_maps(lm.model, modules_of(lm))

    def loss():
        return group_losses(predictions(lm, edits.batch), edits.batch, edits.group, edits.n_groups).sum()

    return {name: factor_rows(*pair, edits.group, edits.n_groups) for name, pair in token_factors(maps, loss).items()}


def gradients(lm, edits):
    """Return the gradients of the named weights, one edit at a time, in (d_in, d_out) orientation."""
    maps = linear_maps(lm.model, modules_of(lm))
    found = {name: [] for name in maps}
    for edit in range(edits.n_groups):
        rows = (edits.group == edit).nonzero()[:, 0]
        batch = edits.batch.select(rows)
        weights = [module.weight.requires_grad_() for module in maps.values()]
        loss = group_losses(predictions(lm, batch), batch, torch.zeros(len(rows), dtype=torch.long), 1).sum()
        for (name, module), gradient in zip(maps.items(), torch.autograd.grad(loss, weights), strict=True):
            found[name].append(gradient if isinstance(module, Conv1D) else gradient.T)
        for weight in weights:
            weight.requires_grad_(False)
    return found


@pytest.mark.parametrize("family", FAMILIES)
def test_outer_products_of_the_factors_are_the_gradients_of_each_edit(family):
    lm = model_of(family)
    edits = edits_of(family, [[0], [1, 2], [3]])
    expected = gradients(lm, edits)
    for name, rows in captured(lm, edits).items():
        left, right = rows.padded(rows.u), rows.padded(rows.delta)
        for edit in range(3):
            ours = left[edit].T @ right[edit]
            assert (ours - expected[name][edit]).norm() < 1e-4 * expected[name][edit].norm() + 1e-7


def test_tokens_without_influence_are_dropped():
    lm = model_of("gpt2")
    edits = edits_of("gpt2", [[0], [1]])
    lengths = edits.batch.inputs["attention_mask"].sum(-1)
    rows = captured(lm, edits)
    last = rows[modules_of(lm)[-1]]
    answers = (edits.batch.labels != -100).sum(-1)
    assert torch.bincount(last.group).tolist() == answers.tolist(), "above the last attention only read tokens count"
    first = rows[modules_of(lm)[0]]
    assert torch.bincount(first.group).tolist() == (lengths - 1).tolist(), "the last answer token predicts nothing"


@pytest.mark.parametrize("family", FAMILIES)
def test_rows_with_edits_answer_like_edited_weights(family):
    lm = model_of(family)
    edits = edits_of(family, [[0], [1], [2]])
    changes = {
        name: LowRank(rows.padded(rows.u), -0.1 * rows.padded(rows.delta)) for name, rows in captured(lm, edits).items()
    }
    dense = {name: Dense(torch.einsum("eri,ero->eio", change.left, change.right)) for name, change in changes.items()}
    with torch.no_grad(), edited_rows(lm.model, changes, edits.group):
        together = predictions(lm, edits.batch)
    with torch.no_grad(), edited_rows(lm.model, dense, edits.group):
        assert torch.allclose(predictions(lm, edits.batch), together, atol=1e-4)
    for edit in range(3):
        made = edit_of(changes, edit)
        with torch.no_grad(), applied(lm, made):
            alone = predictions(lm, edits.batch.select(torch.tensor([edit])))
        assert torch.allclose(alone[0], together[edit], atol=1e-4)
    order = torch.tensor([2, 0, 1])
    with torch.no_grad(), edited_rows(lm.model, dense, order):
        shuffled = predictions(lm, edits.batch.select(order))
    assert torch.allclose(shuffled, together[order], atol=1e-4), "rows may stand in any order"


def test_a_module_that_does_not_run_or_runs_twice_is_named():
    lm = model_of("gpt2")
    edits = edits_of("gpt2", [[0]])
    maps = linear_maps(lm.model, modules_of(lm)[:1])
    with pytest.raises(ModelError, match="not run"):
        token_factors(maps, lambda: torch.zeros((), requires_grad=True))
    with pytest.raises(ModelError, match="runs twice"):
        token_factors(maps, lambda: predictions(lm, edits.batch).sum() + predictions(lm, edits.batch).sum())


def test_names_of_maps_are_checked():
    lm = model_of("gpt2")
    for names, message in (([], "no module"), (["nowhere"], "does not exist"), (["transformer.wte"], "Embedding")):
        with pytest.raises(ModelError, match=message):
            linear_maps(lm.model, names)
