"""Weight changes: rows equal weights, undo restores every bit."""

import pytest
import torch

from shared.edits.deltas import Edit, WeightDelta, applied, merge, row_edits
from shared.errors import ModelError, NumericalError
from shared.model.forward import embed, logits, run_blocks
from shared.model.models import Architecture
from shared.tests.tiny import FAMILIES, tiny_lm


def make_edit(lm, layer, seed, *, dense=False, rank=1, bias=False):
    """Return a random edit of the down projection."""
    module = lm.arch.mlp_out(layer)
    d_in, d_out = Architecture.in_features(module), Architecture.out_features(module)
    draw = torch.Generator().manual_seed(seed)
    shift = torch.randn(d_out, generator=draw) if bias else None
    name = lm.arch.name_of(module)
    if dense:
        return Edit((WeightDelta(name, dense=0.3 * torch.randn(d_in, d_out, generator=draw), bias=shift),))
    left, right = torch.randn(d_in, rank, generator=draw), 0.3 * torch.randn(rank, d_out, generator=draw)
    return Edit((WeightDelta(name, left, right, bias=shift),))


def _run(lm, ids):
    return logits(lm, run_blocks(lm, embed(lm, ids), range(lm.arch.n_layers)))


@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_rows_equal_edited_weights(family):
    lm = tiny_lm(family)
    has_bias = lm.arch.mlp_out(1).bias is not None
    edits = [
        make_edit(lm, 1, 1),
        make_edit(lm, 1, 2, dense=True, bias=has_bias),
        make_edit(lm, 2, 3, rank=3),
        merge([make_edit(lm, 1, 4, bias=has_bias), make_edit(lm, 2, 5)]),
    ]
    ids = torch.arange(1, 41).reshape(5, 8)
    with row_edits(lm, edits) as rows:
        rows.select([0, 1, None, 3, 2])
        together = _run(lm, ids)
    plain = _run(lm, ids)
    for row, edit in enumerate([edits[0], edits[1], Edit(()), edits[3], edits[2]]):
        with applied(lm, edit):
            alone = _run(lm, ids[row : row + 1])
        torch.testing.assert_close(together[row : row + 1], alone, atol=2e-4, rtol=1e-4)
        if edit.deltas:
            assert not torch.allclose(together[row], plain[row], atol=1e-2)
    assert torch.equal(_run(lm, ids), plain)


@pytest.mark.parametrize("family", FAMILIES)
def test_undo_restores_every_bit_even_after_an_exception(family):
    lm = tiny_lm(family)
    before = {name: p.clone() for name, p in lm.model.named_parameters()}
    with pytest.raises(RuntimeError, match="on purpose"), applied(lm, make_edit(lm, 0, 7)):
        assert any(not torch.equal(p, before[name]) for name, p in lm.model.named_parameters())
        raise RuntimeError("on purpose")
    assert all(torch.equal(p, before[name]) for name, p in lm.model.named_parameters())


@torch.no_grad()
def test_merge_equals_applying_one_after_the_other():
    lm = tiny_lm()
    first, second = make_edit(lm, 1, 1, dense=True), make_edit(lm, 1, 2, rank=2, bias=True)
    ids = torch.arange(1, 9)[None]
    with applied(lm, first), applied(lm, second):
        one_by_one = _run(lm, ids)
    with applied(lm, merge([first, second])):
        torch.testing.assert_close(_run(lm, ids), one_by_one, atol=1e-4, rtol=1e-4)


def test_norm_of_factors_equals_norm_of_the_matrix():
    delta = make_edit(tiny_lm(), 1, 3, rank=4).deltas[0]
    assert delta.norm() == pytest.approx(float(delta.matrix().norm()), rel=1e-5)


def test_bad_edits_are_refused():
    lm = tiny_lm()
    name = lm.arch.name_of(lm.arch.mlp_out(0))
    with pytest.raises(NumericalError, match="NaN"):
        WeightDelta(name, torch.full((4, 1), float("nan")), torch.zeros(1, 4))
    with pytest.raises(ValueError, match="both factors"):
        WeightDelta(name, left=torch.zeros(4, 1))
    with (
        pytest.raises(ModelError, match="made for another model"),
        applied(lm, Edit((WeightDelta(name, torch.zeros(4, 1), torch.zeros(1, 4)),))),
    ):
        pass
    with row_edits(lm, [make_edit(lm, 0, 1)]), pytest.raises(ValueError, match="select"):
        _run(lm, torch.arange(1, 9)[None])
