import random

import pytest
import torch

from shared.edits.factor_edits import Dense, edited_rows
from shared.inference.text_batches import predictions
from shared.learning.learned_editors import linear_maps, map_shape
from shared.learning.unedited_trunk import UneditedTrunk
from shared.tests.episodes import FAMILIES, modules_of, pool_of


@pytest.mark.parametrize("family", FAMILIES)
def test_replayed_blocks_give_the_same_predictions_and_do_not_run(family):
    pool = pool_of(family)
    model, rows = pool.lm.model, pool.draw(random.Random(0), 2, 1, 2).anchors
    names = modules_of(pool.lm)[-1:]  # of the last block
    torch.manual_seed(0)
    changes = {name: Dense(torch.randn(2, *map_shape(module))) for name, module in linear_maps(model, names).items()}
    trunk = UneditedTrunk(model, changes)
    with torch.no_grad():
        before = predictions(pool.lm, rows.batch)
        with edited_rows(model, changes, rows.group):
            after = predictions(pool.lm, rows.batch)
        with trunk.recorded():
            assert torch.equal(predictions(pool.lm, rows.batch), before)
        first = next(part for part in model.modules() if isinstance(part, torch.nn.ModuleList))[0]
        runs = []
        inside = next(first.children()).register_forward_hook(lambda *_: runs.append(1))
        with trunk.replayed(), edited_rows(model, changes, rows.group):
            assert torch.equal(predictions(pool.lm, rows.batch), after)
        inside.remove()
    assert not runs
    assert not torch.equal(before, after)


def test_a_trunk_ends_at_the_first_edited_module():
    pool = pool_of("gpt2")
    model, rows = pool.lm.model, pool.draw(random.Random(0), 1, 1, 1).anchors
    first = "transformer.h.0.mlp.c_fc"
    changes = {first: Dense(torch.ones(1, *map_shape(linear_maps(model, [first])[first])))}
    trunk = UneditedTrunk(model, changes)
    with torch.no_grad(), edited_rows(model, changes, rows.group):
        with trunk.recorded():
            edited = predictions(pool.lm, rows.batch)
        with trunk.replayed():
            assert torch.equal(predictions(pool.lm, rows.batch), edited)
    with torch.no_grad(), trunk.replayed():
        assert not torch.equal(predictions(pool.lm, rows.batch), edited)  # every block runs
