"""Integrated gradients add up, and agree with a plain Riemann sum over whole forward passes."""

import pytest
import torch

from shared.model.hooks import capture, replace
from shared.tests.tiny import FAMILIES, tiny_lm
from shared.traces.integrated_gradients import gauss_legendre, integrated_gradients, path_gradient, riemann
from shared.traces.trace_runs import make_fact


def test_quadrature_is_exact_for_polynomials():
    nodes, weights = gauss_legendre(5)
    assert weights.sum().item() == pytest.approx(1, abs=1e-6)
    assert (weights * nodes**9).sum().item() == pytest.approx(1 / 10, abs=1e-6)
    assert (weights * nodes**10).sum().item() != pytest.approx(1 / 11, abs=1e-7)


def test_riemann_grids():
    assert riemann(4, "left")[0].tolist() == [0, 0.25, 0.5, 0.75]
    assert riemann(4, "right")[0].tolist() == [0.25, 0.5, 0.75, 1]
    assert riemann(5, "inclusive")[0].tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert riemann(5, "inclusive")[1].sum().item() == pytest.approx(1)
    with pytest.raises(ValueError, match="grid 'middle'"):
        riemann(5, "middle")


def test_path_gradient_of_a_polynomial():
    end = torch.tensor([[1.0, -2.0], [0.5, 3.0]])
    nodes, weights = gauss_legendre(4)
    for batch in (1, 3, 10):
        found = path_gradient(lambda points: (points**3).sum((1, 2)), end, nodes, weights, batch)
        torch.testing.assert_close(end * found, end**3)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("kind", ["mlp", "attention"])
def test_completeness(family, kind):
    lm = tiny_lm(family)
    fact = make_fact(lm, "Anna Bell works as a", "Anna Bell")
    found = integrated_gradients(lm, fact, [kind], max_tokens=70)[kind]
    assert found.norms.shape == (len(fact.ids), lm.arch.n_layers)
    torch.testing.assert_close(found.totals, found.differences, atol=1e-6, rtol=1e-3)
    assert found.differences.abs().max() > 1e-4


def test_map_equals_a_riemann_sum_over_whole_passes():
    lm, layer, steps = tiny_lm("gpt2"), 1, 400
    fact = make_fact(lm, "Anna Bell works as a", "Anna Bell")
    ids = torch.tensor([fact.ids])
    with capture({"mlp": lm.arch.mlp(layer)}) as seen:
        answer = lm.model(ids).logits[0, -1].argmax()
    alphas = ((torch.arange(steps) + 0.5) / steps)[:, None, None]
    scaled = (alphas * seen["mlp"]).requires_grad_()
    with replace([lm.arch.mlp(layer)], lambda _index, _output: scaled):
        probability = lm.model(ids.expand(steps, -1)).logits[:, -1].softmax(-1)[:, answer]
    [gradient] = torch.autograd.grad(probability.sum(), scaled)
    expected = (seen["mlp"][0] * gradient.mean(0)).norm(dim=-1)
    found = integrated_gradients(lm, fact, ["mlp"])["mlp"].norms[:, layer]
    torch.testing.assert_close(found, expected, atol=1e-7, rtol=1e-3)
