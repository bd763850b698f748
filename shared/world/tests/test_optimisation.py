"""The batched Muon against torch's, and the property that its iteration is for."""

import pytest
import torch

from shared.world import optimisation
from shared.world.optimisation import FloatMuon, make_optimisers, mixed_precision, orthogonalised

SHAPES = [(8, 24), (8, 24), (24, 8), (16, 16)]
SETTINGS = {"lr": 0.02, "weight_decay": 0.01, "momentum": 0.95}


def stepped(kind: type[torch.optim.Optimizer], steps: int = 3, frozen: int | None = None) -> list[torch.Tensor]:
    """Return matrices after some steps along random gradients, one of them without any."""
    generator = torch.Generator().manual_seed(0)
    matrices = [torch.nn.Parameter(torch.randn(shape, generator=generator)) for shape in SHAPES]
    optimiser = kind(matrices, **SETTINGS)
    for _ in range(steps):
        for index, matrix in enumerate(matrices):
            gradient = torch.randn(matrix.shape, generator=generator)
            matrix.grad = None if index == frozen else gradient
        optimiser.step()
    return [matrix.detach() for matrix in matrices]


def test_steps_are_those_of_torch_up_to_rounding():
    start, ours, theirs = stepped(FloatMuon, steps=0), stepped(FloatMuon), stepped(torch.optim.Muon)
    for before, own, reference in zip(start, ours, theirs, strict=True):
        assert (own - reference).norm() < 0.03 * (reference - before).norm()


def test_a_matrix_without_gradient_stays():
    assert torch.equal(stepped(FloatMuon, frozen=1)[1], stepped(FloatMuon, steps=0)[1])
    assert not torch.equal(stepped(FloatMuon)[1], stepped(FloatMuon, steps=0)[1])


def test_orthogonalised_matrices_have_singular_values_near_one():
    matrices = torch.randn(3, 12, 30, generator=torch.Generator().manual_seed(1))
    group = FloatMuon([torch.nn.Parameter(matrices[0])]).param_groups[0]
    found = orthogonalised(matrices, group["ns_coefficients"], group["ns_steps"])
    values = torch.linalg.svdvals(found)
    assert values.min() > 0.5
    assert values.max() < 1.5
    tall = orthogonalised(matrices.mT, group["ns_coefficients"], group["ns_steps"])
    assert torch.allclose(tall, found.mT, atol=1e-5)


@pytest.mark.parametrize("native", [torch.bfloat16, torch.float32])
def test_products_have_the_format_of_the_processor(monkeypatch, native):
    monkeypatch.setattr(optimisation, "product_format", lambda: native)
    with mixed_precision():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype is native
    matrix, other = (torch.nn.Parameter(torch.ones(2, 2)) for _ in range(2))
    muon, _ = make_optimisers([matrix], [other], muon_rate=0.1, adam_rate=0.1, weight_decay=0.0)
    assert isinstance(muon, FloatMuon) == (native is torch.float32)
