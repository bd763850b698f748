"""A classifier's verdicts on claims: one logit each, positive for true."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from shared.errors import ModelError
from shared.model.forward import token_batches
from shared.model.models import LM

SUPPORTS, REFUTES = "SUPPORTS", "REFUTES"


def verdict_logits(lm: LM, logits: Float[Tensor, "claim label"]) -> Float[Tensor, " claim"]:
    """Return the log-odds of "true" that a head's outputs mean.

    A head with one logit says them itself (De Cao et al. 2021, FEVER); one with two classes, false and true, says them
    by the difference.

    Raises:
        ModelError: a head with more classes.
    """
    if logits.shape[-1] == 1:
        return logits[:, 0]
    if logits.shape[-1] == 2:
        return logits[:, 1] - logits[:, 0]
    raise ModelError(f"{lm.name}: the classifier has {logits.shape[-1]} classes, expected one logit or two classes")


@torch.no_grad()
def claim_logits(lm: LM, claims: Sequence[str], *, max_tokens: int = 4096) -> Float[Tensor, " claim"]:
    """Return the log-odds (natural log) of each claim being true, on the CPU in float32.

    Raises:
        ModelError: a head with more than two classes.

    Cost: one forward pass over all claims, at most `max_tokens` padded tokens at a time.
    """
    result = torch.empty(len(claims))
    lengths = [len(lm.tokenizer.encode(claim)) for claim in claims]
    for rows in token_batches(lengths, max_tokens):
        batch = lm.tokenizer([claims[row] for row in rows], padding=True, return_tensors="pt").to(lm.device)
        result[rows] = verdict_logits(lm, lm.model(**batch).logits).float().cpu()
    return result
