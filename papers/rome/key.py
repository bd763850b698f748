"""The key of a subject: what selects the fact in an MLP's memory (§3.1, step 1)."""

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from shared.fit.keys import lookup_states
from shared.fit.second_moment import SecondMoments, unit_rows
from shared.model.models import LM
from shared.model.tokens import Prompt


@dataclass(frozen=True)
class SubjectKeys:
    """Keys and current values of several requests at one layer.

    Attributes:
        mean_key: k̄, mean over all contexts (Eq. 3).
        plain_key: k_o, of the prompt without context.
        mean_value, plain_value: the MLP's outputs at the same places, bias included.
    """

    mean_key: Float[Tensor, "request d_mlp"]
    plain_key: Float[Tensor, "request d_mlp"]
    mean_value: Float[Tensor, "request d_model"]
    plain_value: Float[Tensor, "request d_model"]


def subject_keys(lm: LM, prompts: Sequence[Sequence[Prompt]], layer: int, max_tokens: int = 8192) -> SubjectKeys:
    """Read the keys and values of every request (Eq. 3, §3.1, Meng et al. 2022).

    Args:
        prompts: per request, its prompt in every context, the plain one first.
        layer: edited layer.
        max_tokens: bound on the padded tokens of one forward pass.
    """
    flat = [prompt for contexts in prompts for prompt in contexts]
    states = lookup_states(lm, flat, keys=[layer], mlp=[layer], max_tokens=max_tokens)
    keys = states.keys[layer].unflatten(0, (len(prompts), -1))
    values = states.mlp[layer].unflatten(0, (len(prompts), -1))
    return SubjectKeys(keys.mean(1), keys[:, 0], values.mean(1), values[:, 0])


def update_direction(
    keys: Float[Tensor, "request d_mlp"], moments: SecondMoments | None, layer: int, ridge: float = 0.0
) -> Float[Tensor, "request d_mlp"]:
    """Return u = C⁻¹k / ‖C⁻¹k‖ per request (Eq. 2), or k / ‖k‖ without moments.

    The solve runs in float64 by Cholesky; the authors invert C in float32 (differences up to 2e-4 relative).
    """
    solved = keys if moments is None else moments.solve(layer, keys, ridge)
    return unit_rows(solved).to(keys.dtype)
