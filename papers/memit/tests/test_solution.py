"""The normal equation: both forms solve it, agree, and approach the exact update where λ vanishes."""

import pytest
import torch

from papers.memit.solution import adjusted_keys, single_adjusted_keys
from papers.memit.tests import facts
from shared.errors import NumericalError
from shared.fit.second_moment import SecondMoments

WIDTH = 24


def _keys(count, width=WIDTH):
    return torch.randn(count, width, generator=torch.Generator().manual_seed(1), dtype=torch.float32)


def _moments():
    return facts.moments(WIDTH, (0,))


@pytest.mark.parametrize("weight", [1e-2, 1, 15_000])
@pytest.mark.parametrize(
    ("count", "solver"),
    # The small form of more requests than dimensions is singular but for λ: `auto` leaves it there.
    [(count, solver) for count in (1, 7, WIDTH) for solver in ("small", "dense")] + [(60, "dense"), (60, "auto")],
)
def test_the_factor_solves_the_normal_equation(count, solver, weight):
    """(λC + K Kᵀ) X = K to float64 accuracy, relative to the largest terms."""
    keys, moments = _keys(count), _moments()
    found = adjusted_keys(keys, moments, 0, weight, solver=solver)
    wide = keys.double()
    matrix = weight * moments.moment(0) + wide.T @ wide
    scale = matrix.norm() * found.norm() + wide.norm()
    assert (matrix @ found.T - wide.T).norm() < 1e-13 * scale


@pytest.mark.parametrize("count", [1, 7, WIDTH, 60])
@pytest.mark.parametrize("weight", [1, 15_000])
def test_the_small_and_the_dense_form_agree(count, weight):
    small, dense = (adjusted_keys(_keys(count), _moments(), 0, weight, solver=form) for form in ("small", "dense"))
    assert (small - dense).norm() < 1e-11 * dense.norm()


def test_auto_takes_the_smaller_system():
    for count, form in ((5, "small"), (50, "dense")):
        auto, same = (adjusted_keys(_keys(count), _moments(), 0, 10, solver=solver) for solver in ("auto", form))
        assert torch.equal(auto, same)


def test_requests_on_their_own_are_requests_alone():
    keys = _keys(5)
    alone = [adjusted_keys(keys[row : row + 1], _moments(), 0, 3.0)[0] for row in range(5)]
    torch.testing.assert_close(single_adjusted_keys(keys, _moments(), 0, 3.0), torch.stack(alone))


def test_without_weight_the_update_is_exact():
    """For n = 1 and λ → 0 the update maps the key to its residual exactly, along C⁻¹k as in ROME (Eq. 2 there)."""
    key, moments = _keys(1), _moments()
    factor = adjusted_keys(key, moments, 0, 1e-12)[0]
    assert float(factor @ key[0].double()) == pytest.approx(1, abs=1e-10)
    direction = moments.solve(0, key)[0]
    assert float(torch.nn.functional.cosine_similarity(factor, direction, dim=0)) == pytest.approx(1, abs=1e-12)
    shrunk = adjusted_keys(key, moments, 0, 15_000)[0]
    assert float(shrunk @ key[0].double()) < 0.01


def test_equal_keys_get_the_mean_of_their_residuals():
    """Requests with one key are moved by the mean of what they ask for: why `repeats: joint` exists."""
    keys, residuals = _keys(1).repeat(3, 1), torch.tensor([[1.0, 0], [0, 6], [2, 0]], dtype=torch.float64)
    change = adjusted_keys(keys, _moments(), 0, 1e-6).T @ residuals
    torch.testing.assert_close(keys[0].double() @ change, residuals.mean(0), atol=1e-6, rtol=0)


def test_a_singular_system_is_explained():
    flat = SecondMoments({0: torch.ones(WIDTH, WIDTH, dtype=torch.float64) * 100}, 100)
    with pytest.raises(NumericalError, match="layer 0 is not positive definite"):
        adjusted_keys(_keys(3), flat, 0, 1.0)
    with pytest.raises(NumericalError, match="with update_weight 1.0"):
        adjusted_keys(_keys(3), flat, 0, 1.0, solver="dense")
    assert adjusted_keys(_keys(3), flat, 0, 1.0, ridge=1e-3).isfinite().all()
