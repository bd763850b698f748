"""One pass over sentences, watched: keys' responses, feed-forward outputs and residual streams of every layer."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from shared.model.forward import embed, pad_right, run_blocks, token_batches
from shared.model.hooks import capture
from shared.model.lean import fused_gelu
from shared.model.models import LM, Architecture


@dataclass(frozen=True)
class Pass:
    """One batch of token sequences.

    Attributes:
        rows: which sequences.
        valid: where their tokens are; the rest is padding.
        keys: response of each key, by layer: what enters the second feed-forward map.
        mlp: output of each feed-forward layer with its bias.
        after: residual stream after each block.
    """

    rows: list[int]
    valid: Bool[Tensor, "row pos"]
    keys: list[Float[Tensor, "row pos d_mlp"]]
    mlp: list[Float[Tensor, "row pos d_model"]]
    after: list[Float[Tensor, "row pos d_model"]]


@torch.no_grad()
def passes(lm: LM, sequences: Sequence[Sequence[int]], max_tokens: int) -> Iterator[Pass]:
    """Run all sequences and yield what was seen; memory is that of one batch.

    Args:
        max_tokens: padded tokens of one batch.
    """
    layers = range(lm.arch.n_layers)
    for batch in token_batches([len(ids) for ids in sequences], max_tokens):
        ids = pad_right([sequences[row] for row in batch], lm.tokenizer.pad_token_id, lm.device)
        lengths = torch.tensor([len(sequences[row]) for row in batch], device=lm.device)
        valid = torch.arange(ids.shape[1], device=lm.device)[None] < lengths[:, None]
        after: list[Tensor] = []
        with ExitStack() as stack:
            stack.enter_context(fused_gelu(lm))
            keys = stack.enter_context(capture({str(at): lm.arch.mlp_out(at) for at in layers}, inputs=True))
            outputs = stack.enter_context(capture({str(at): lm.arch.mlp_out(at) for at in layers}))
            run_blocks(lm, embed(lm, ids), layers, observe=_keeper(after))
        yield Pass(batch, valid, [keys[str(at)] for at in layers], [outputs[str(at)] for at in layers], after)


def _keeper(kept: list[Tensor]) -> Callable[[int, Tensor], None]:
    def keep(_layer: int, hidden: Tensor) -> None:
        kept.append(hidden)

    return keep


def values_of(lm: LM, layer: int) -> Float[Tensor, "d_mlp d_model"]:
    """Return the value vectors of a layer."""
    module = lm.arch.mlp_out(layer)
    return module.weight if Architecture.input_first(module) else module.weight.T
