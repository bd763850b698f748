"""The least-squares update of one layer (Eq. 14, §4.2) in the two forms that its normal equation can be solved in.

With keys K (one column per request) and residuals R, the change of the weights, in (d_mlp, d_model) orientation, is
Δᵀ with Δ = R Kᵀ (λC + K Kᵀ)⁻¹. Everything here is float64.
"""

from typing import cast

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from papers.memit.hyperparams import Solver
from shared.errors import NumericalError
from shared.fit.second_moment import SecondMoments


def adjusted_keys(
    keys: Float[Tensor, "request d_mlp"],
    moments: SecondMoments,
    layer: int,
    weight: float | int,
    *,
    solver: Solver = "auto",
    ridge: float | int = 0.0,
) -> Float64[Tensor, "request d_mlp"]:
    """Return ((λC + K Kᵀ)⁻¹ K)ᵀ, the factor that the residuals are multiplied with.

    The small form uses (λC + K Kᵀ)⁻¹ K = C⁻¹K (λI + Kᵀ C⁻¹ K)⁻¹, an n × n system, and one Cholesky factor of C that
    serves every set of requests and every λ. The dense form factors the d_mlp × d_mlp matrix.

    Args:
        weight: λ.
        solver: `small`, `dense`, or `auto` for whichever system is smaller (the small one of more requests than
            dimensions is singular but for λ, and loses digits).
        ridge: multiple of C's mean diagonal added to its diagonal.

    Raises:
        NumericalError: the system is not positive definite.

    Cost: small d_mlp³/3 once per layer, then 2·d_mlp²·n + n³/3 FLOP; dense d_mlp²·n + d_mlp³/3 + 2·d_mlp²·n.
    """
    count, size = keys.shape
    if solver == "auto":
        solver = cast(Solver, "small" if count <= size else "dense")
    wide = keys.double()
    if solver == "small":
        solved = moments.solve(layer, wide, ridge)
        gram = wide @ solved.T
        gram.diagonal().add_(weight)
        return torch.cholesky_solve(solved, _factor(gram, layer, weight))
    matrix = moments.moment(layer).to(keys.device)
    if ridge:
        matrix.diagonal().add_(ridge * matrix.diagonal().mean())
    matrix.mul_(weight).addmm_(wide.T, wide)
    return torch.cholesky_solve(wide.T, _factor(matrix, layer, weight)).T


def single_adjusted_keys(
    keys: Float[Tensor, "request d_mlp"],
    moments: SecondMoments,
    layer: int,
    weight: float | int,
    ridge: float | int = 0.0,
) -> Float64[Tensor, "request d_mlp"]:
    """Return the same factor for each request edited on its own: C⁻¹k / (λ + kᵀ C⁻¹ k)."""
    wide = keys.double()
    solved = moments.solve(layer, wide, ridge)
    return solved / (weight + (wide * solved).sum(1, keepdim=True))


def _factor(matrix: Float64[Tensor, "size size"], layer: int, weight: float | int) -> Float64[Tensor, "size size"]:
    factor, failed = torch.linalg.cholesky_ex(matrix)
    if failed:
        raise NumericalError(
            f"the normal equation of layer {layer} is not positive definite (leading minor {int(failed)} of "
            f"{len(matrix)}) with update_weight {weight}: raise update_weight, or set `ridge` to a small positive "
            "number such as 1e-6"
        )
    return factor
