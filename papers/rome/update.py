"""The rank-one update that writes key → value into the MLP's down projection (Eq. 2, §3.1)."""

import torch
from jaxtyping import Float
from torch import Tensor

from papers.rome.hyperparams import KeyHandling
from papers.rome.key import SubjectKeys
from shared.edits.deltas import WeightDelta
from shared.errors import NumericalError
from shared.fit.optimise import VectorResult


def key_for_direction(keys: SubjectKeys, handling: KeyHandling) -> Float[Tensor, "request d_mlp"]:
    """Return the key from which u is made: the plain prompt's under `p_rome`, else the mean over contexts."""
    return keys.plain_key if handling == "p_rome" else keys.mean_key


def residuals(
    keys: SubjectKeys, values: list[VectorResult], handling: KeyHandling
) -> tuple[Float[Tensor, "request d_mlp"], Float[Tensor, "request d_model"]]:
    """Return the key k that the update divides by, and v* minus what the layer gives for it now.

    `original`: k_o and v* − m_o. `r_rome`: k̄ and v* − m̄. `p_rome`: k_o and δ (its target is m_o + δ).
    """
    wanted = torch.stack([result.value for result in values])
    if handling == "r_rome":
        return keys.mean_key, wanted - keys.mean_value
    if handling == "p_rome":
        return keys.plain_key, torch.stack([result.delta for result in values])
    return keys.plain_key, wanted - keys.plain_value


def rank_one_delta(
    module: str,
    key: Float[Tensor, " d_mlp"],
    residual: Float[Tensor, " d_model"],
    direction: Float[Tensor, " d_mlp"],
    case: str,
) -> WeightDelta:
    """Return the smallest change, in the metric C, that moves the output for `key` by `residual`.

    Eq. 2, §3.1, Meng et al. 2022 (arXiv:2202.05262v5): ΔW = u Λᵀ with Λ = residual / (k·u), u = C⁻¹k̄ / ‖C⁻¹k̄‖.

    Args:
        module: name of the down projection.
        key: k, the key whose output changes by exactly `residual`.
        residual: v* − Wk − b.
        direction: u, of unit length.
        case: name used in messages.

    Raises:
        NumericalError: k·u is zero, so no update along u can reach the value.

    Invariant: (W + ΔW)ᵀk + b = v* up to rounding; keys orthogonal to u are not changed.
    """
    overlap = key @ direction
    if not overlap.abs() > torch.finfo(key.dtype).eps * key.norm():
        raise NumericalError(
            f"case {case}: key and update direction of {module} are orthogonal (k·u = {float(overlap)})"
        )
    return WeightDelta(module, left=direction[:, None], right=(residual / overlap)[None])
