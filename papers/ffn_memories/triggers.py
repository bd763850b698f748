"""Trigger examples: for every key, the sentences whose prefixes it responds to most (Geva et al. 2021, §3.1).

Each sentence counts once, at its best position that still has a next token. The best are merged batch by batch, so
memory
is that of the best examples and one batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor

from papers.ffn_memories.states import passes
from shared.model.models import LM
from shared.records import read_tensors, write_tensors


@dataclass(frozen=True)
class Triggers:
    """The best examples of every key, best first.

    Attributes:
        coefficients: the key's response at the example; −∞ where there are fewer sentences.
        sentences, positions: which sentence, and the position of its prefix's last token.
    """

    coefficients: Float[Tensor, "layer d_mlp top"]
    sentences: Int[Tensor, "layer d_mlp top"]
    positions: Int[Tensor, "layer d_mlp top"]

    def save(self, path: str | Path) -> None:
        """Write as safetensors."""
        write_tensors(path, vars(self))

    @classmethod
    def load(cls, path: str | Path) -> "Triggers":
        """Read what `save` wrote."""
        return cls(**read_tensors(path))


def find_triggers(lm: LM, sequences: Sequence[Sequence[int]], top: int, max_tokens: int) -> Triggers:
    """Return the `top` best examples of every key of every layer.

    Cost: one forward pass over the sequences, and one merge of `top` plus a batch's examples per batch and layer.
    """
    shape = (lm.arch.n_layers, lm.arch.d_mlp, top)
    best = torch.full(shape, float("-inf"), device=lm.device)
    sentences, positions = (torch.zeros(shape, dtype=torch.long, device=lm.device) for _ in range(2))
    for seen in passes(lm, sequences, max_tokens):
        rows = torch.tensor(seen.rows, device=lm.device)
        usable = seen.valid.clone()
        usable[:, :-1] &= seen.valid[:, 1:]
        usable[:, -1] = False
        for layer, keys in enumerate(seen.keys):
            score, place = keys.masked_fill(~usable[:, :, None], float("-inf")).max(1)
            joined = torch.cat([best[layer], score.T.to(best)], 1)
            chosen = joined.topk(top, dim=1)
            best[layer] = chosen.values
            ids = torch.cat([sentences[layer], rows.expand(len(score.T), -1)], 1)
            places = torch.cat([positions[layer], place.T], 1)
            sentences[layer], positions[layer] = ids.gather(1, chosen.indices), places.gather(1, chosen.indices)
    return Triggers(best.cpu(), sentences.cpu(), positions.cpu())
