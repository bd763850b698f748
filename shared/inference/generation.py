"""Seeded batched text generation with one edit per row.

All rows run in lockstep from the shortest prompt's end: a row feeds on its own prompt until that is used up and samples
from then on, and every row stops at the same total length. That is how the authors of ROME generate (their
`generate_fast`: top-k sampling at temperature 1, no stop at the end-of-text token), so no row ever needs padding. Each
row draws from its own seed, so a text does not depend on which others share its batch.
"""

import unicodedata
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from shared.edits.deltas import RowEdits
from shared.errors import ConfigError
from shared.model.forward import KeyValues, add_positions, logits, run_blocks, token_embeddings
from shared.model.lean import fused_gelu
from shared.model.models import LM


class KeyValueBuffer(KeyValues):
    """Keys and values in one preallocated tensor per layer, so that a step copies one position only."""

    def __init__(self, capacity: int):
        super().__init__()
        self.capacity = capacity
        self.filled: dict[int, int] = {}

    def update(self, key: Tensor, value: Tensor, layer_idx: int, *_: object, **__: object) -> tuple[Tensor, Tensor]:
        """Append and return everything stored so far."""
        if layer_idx not in self.layers:
            shape = (*key.shape[:2], self.capacity, key.shape[3])
            self.layers[layer_idx] = (key.new_empty(shape), value.new_empty(shape))
        start = self.filled.get(layer_idx, 0)
        stop = start + key.shape[2]
        keys, values = self.layers[layer_idx]
        keys[:, :, start:stop] = key
        values[:, :, start:stop] = value
        self.filled[layer_idx] = stop
        return keys[:, :, :stop], values[:, :, :stop]

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Return how many positions are filled for `layer_idx`."""
        return self.filled.get(layer_idx, 0)


def _sample(scores: Float[Tensor, "row vocab"], top_k: int, uniform: Float[Tensor, " row"]) -> Int[Tensor, " row"]:
    """Draw from the renormalised top-k by inverting its cumulative distribution at `uniform`."""
    best, tokens = scores.topk(min(top_k, scores.shape[-1]), dim=-1)
    cumulative = best.softmax(-1).cumsum(-1)
    choice = (cumulative < uniform[:, None]).sum(-1).clamp(max=best.shape[-1] - 1)
    return tokens.gather(1, choice[:, None])[:, 0]


@torch.no_grad()
def _generate_batch(
    lm: LM, prompts: Sequence[Sequence[int]], max_length: int, top_k: int, seeds: Sequence[int]
) -> list[list[int]]:
    start = min(map(len, prompts))
    rows = torch.zeros(len(prompts), max_length, dtype=torch.long, device=lm.device)
    lengths = torch.tensor([len(prompt) for prompt in prompts], device=lm.device)
    for row, prompt in enumerate(prompts):
        kept = prompt[:max_length]
        rows[row, : len(kept)] = torch.tensor(kept)
    draws = torch.stack([torch.rand(max_length, generator=torch.Generator().manual_seed(seed)) for seed in seeds]).to(
        lm.device
    )
    cache = KeyValueBuffer(max_length)
    done, stop = 0, start
    while stop < max_length:
        positions = torch.arange(done, stop, device=lm.device)[None]
        hidden = add_positions(lm, token_embeddings(lm, rows[:, done:stop]), positions)
        hidden = run_blocks(lm, hidden, range(lm.arch.n_layers), positions=positions, cache=cache)
        sampled = _sample(logits(lm, hidden[:, -1]).float(), top_k, draws[:, stop])
        rows[:, stop] = torch.where(stop >= lengths, sampled, rows[:, stop])
        done, stop = stop, stop + 1
    return rows.tolist()


def generate(
    lm: LM,
    prompts: Sequence[Sequence[int]],
    *,
    max_length: int,
    seeds: Sequence[int],
    top_k: int = 5,
    edits: RowEdits | None = None,
    edit_of: Sequence[int | None] | None = None,
    batch_rows: int = 128,
) -> list[list[int]]:
    """Continue each prompt to `max_length` tokens in all (§2.10 of the ROME code; prompts longer than that are cut).

    Args:
        prompts: token ids, at least one each.
        max_length: total number of tokens including the prompt.
        seeds: one per prompt; equal seeds and prompts give equal texts.
        top_k: how many tokens are sampled from; 1 is greedy decoding.
        edits, edit_of: as in `score_targets`.
        batch_rows: rows per batch; keys and values of that many rows are held.

    Raises:
        ConfigError: `max_length` exceeds the model's positions, or `top_k` is below 1.

    Cost: one forward over each position, with keys and values kept.
    """
    if max_length > lm.arch.n_positions:
        raise ConfigError(f"max_length {max_length} exceeds the model's {lm.arch.n_positions} positions")
    if top_k < 1:
        raise ConfigError(f"top_k is {top_k}, expected 1 (greedy) or more")
    if edit_of is None:
        edit_of = [None] * len(prompts)
    order = sorted(range(len(prompts)), key=lambda row: (len(prompts[row]), row))
    texts: list[list[int]] = [[] for _ in prompts]
    for first in range(0, len(order), batch_rows):
        batch = order[first : first + batch_rows]
        if edits is not None:
            edits.select([edit_of[row] for row in batch])
        with fused_gelu(lm):
            made = _generate_batch(lm, [prompts[r] for r in batch], max_length, top_k, [seeds[r] for r in batch])
        for row, ids in zip(batch, made, strict=True):
            texts[row] = ids
    return texts


def clean_generated(text: str, end_of_text: str = "<|endoftext|>") -> str:
    """Return generated text as ROME's code cleans it: compatibility-decomposed, no blank lines, no end marks."""
    return unicodedata.normalize("NFKD", text).replace("\n\n", " ").replace(end_of_text, "")
