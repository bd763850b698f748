"""Vectors of the residual stream read in the vocabulary: values, sub-updates and states.

`normed` applies the model's final norm first, as the second paper's GPT-2 code does (gain and bias included); `plain`
multiplies by the output embedding only, as for the first paper's model, which has no final norm. Both make a value's
ranking independent of a positive coefficient; the norm makes it exactly so.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from papers.ffn_memories.states import values_of
from shared.errors import ConfigError
from shared.model.models import LM

PROJECTIONS = ("normed", "plain")


def project(lm: LM, vectors: Float[Tensor, "*shape d_model"], how: str) -> Float[Tensor, "*shape vocab"]:
    """Return the vectors' scores for all tokens.

    Raises:
        ConfigError: an unknown projection.
    """
    if how not in PROJECTIONS:
        raise ConfigError(f"projection {how!r} is unknown; choose one of {', '.join(PROJECTIONS)}")
    return lm.arch.unembedding(lm.arch.final_norm(vectors) if how == "normed" else vectors)


@dataclass(frozen=True)
class ValueReading:
    """What each value of a layer says.

    Attributes:
        top: its best tokens, best first.
        probability: softmax probability of the best.
        rank: how many tokens score above the wanted one (−1 where none is wanted).
    """

    top: Int[Tensor, "d_mlp top"]
    probability: Float[Tensor, " d_mlp"]
    rank: Int[Tensor, " d_mlp"]


@torch.no_grad()
def read_vectors(
    lm: LM, vectors: Float[Tensor, "n d_model"], how: str, top: int, wanted: Int[Tensor, " n"], block: int = 2048
) -> ValueReading:
    """Read vectors in the vocabulary, `block` at a time.

    Args:
        wanted: a token for each vector, or −1.
    """
    parts = []
    for first in range(0, len(vectors), block):
        scores = project(lm, vectors[first : first + block], how)
        own = wanted[first : first + block].to(scores.device)
        target = scores.gather(1, own.clamp(min=0)[:, None])
        rank = torch.where(own < 0, -1, (scores > target).sum(1))
        parts.append((scores.topk(top, 1).indices, scores.softmax(-1).amax(1), rank))
    return ValueReading(*(torch.cat(part).cpu() for part in zip(*parts, strict=True)))


def read_values(lm: LM, how: str, top: int, wanted: Int[Tensor, "layer d_mlp"]) -> Iterator[ValueReading]:
    """Yield the readings of all values, layer by layer."""
    for layer in range(lm.arch.n_layers):
        yield read_vectors(lm, values_of(lm, layer), how, top, wanted[layer])
