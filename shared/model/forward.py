"""Forward passes that start and stop anywhere, over the blocks of a Hugging Face model.

The engine's gains come from not recomputing what an edit cannot change: blocks below the edited layer, positions before
the edited token, vocabulary projections nobody reads. These functions drive the model's own blocks (so hooks on its
modules still fire) from any layer to any layer, on any suffix of positions, against stored keys and values. On whole
sequences they equal the model's own forward pass, which `tests/test_forward.py` checks for each layout.
"""

from collections.abc import Callable, Iterable, Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from shared.model.hooks import first_tensor
from shared.model.models import LM

Observer = Callable[[int, Tensor], Tensor | None]


class KeyValues:
    """Keys and values per layer, standing in for a transformers cache.

    A block hands its new keys and values to `update` and attends over what comes back: the stored ones, then the new.
    With `record=True` the joined tensors are stored for later passes; otherwise the store never changes, so one prefix
    serves many passes (and gradients flow through the new part only).
    """

    def __init__(self, *, record: bool = False):
        self.record = record
        self.layers: dict[int, tuple[Tensor, Tensor]] = {}

    def update(self, key: Tensor, value: Tensor, layer_idx: int, *_: object, **__: object) -> tuple[Tensor, Tensor]:
        """Return the stored keys and values of `layer_idx` followed by the new ones."""
        if layer_idx in self.layers:
            past_key, past_value = self.layers[layer_idx]
            key = torch.cat([past_key, key], dim=2)  # (batch, head, pos, d_head)
            value = torch.cat([past_value, value], dim=2)
        if self.record:
            self.layers[layer_idx] = (key, value)
        return key, value

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Return how many positions are stored for `layer_idx`."""
        return self.layers[layer_idx][0].shape[2] if layer_idx in self.layers else 0

    def select(self, rows: Int[Tensor, " row"], length: int | None = None) -> "KeyValues":
        """Return a read-only store holding `rows` of the batch, cut to the first `length` positions."""
        chosen = KeyValues()
        chosen.layers = {
            layer: (key[rows, :, :length], value[rows, :, :length]) for layer, (key, value) in self.layers.items()
        }
        return chosen


def token_embeddings(lm: LM, ids: Int[Tensor, "batch pos"]) -> Float[Tensor, "batch pos d_model"]:
    """Return the output of the token embedding, before any position embedding (where tracing adds its noise)."""
    return lm.arch.embedding(ids)


def add_positions(
    lm: LM, embedded: Float[Tensor, "batch pos d_model"], positions: Int[Tensor, "#batch pos"]
) -> Float[Tensor, "batch pos d_model"]:
    """Add learned position embeddings where the layout has them; rotary layouts are returned unchanged."""
    if lm.arch.position_embedding is None:
        return embedded
    return embedded + lm.arch.position_embedding(positions)


def embed(lm: LM, ids: Int[Tensor, "batch pos"]) -> Float[Tensor, "batch pos d_model"]:
    """Return the residual stream that enters block 0."""
    positions = torch.arange(ids.shape[1], device=ids.device)[None]
    return add_positions(lm, token_embeddings(lm, ids), positions)


def causal_mask(
    queries: Int[Tensor, "batch query"],
    keys: Int[Tensor, "batch key"],
    valid: Bool[Tensor, "batch key"] | None = None,
    dtype: torch.dtype = torch.float32,
) -> Float[Tensor, "batch 1 query key"]:
    """Return the additive mask under which each query position sees the valid keys at or before it."""
    allowed = keys[:, None, :] <= queries[:, :, None]
    if valid is not None:
        allowed = allowed & valid[:, None, :]
    mask = torch.zeros(allowed.shape, dtype=dtype, device=queries.device)
    return mask.masked_fill_(~allowed, torch.finfo(dtype).min)[:, None]


def run_blocks(
    lm: LM,
    hidden: Float[Tensor, "batch pos d_model"],
    layers: Iterable[int],
    *,
    positions: Int[Tensor, "#batch pos"] | None = None,
    mask: Float[Tensor, "#batch 1 pos key"] | None = None,
    cache: KeyValues | None = None,
    observe: Observer | None = None,
) -> Float[Tensor, "batch pos d_model"]:
    """Run the given blocks on `hidden` and return the residual stream after the last of them.

    Args:
        hidden: residual stream entering the first of `layers`.
        layers: consecutive layer numbers.
        positions: position of each column in its sequence; 0, 1, 2, … if absent.
        mask: additive attention mask over stored and new positions; plain causal attention if absent.
        cache: stored keys and values of earlier positions, see `KeyValues`.
        observe: called as `observe(layer, hidden)` after each block; may return a replacement.

    Cost: 2·P_block FLOP per layer, row and position, plus attention.
    """
    length = hidden.shape[1]
    if positions is None:
        positions = torch.arange(length, device=hidden.device)[None]
    if mask is None and (cache is not None or lm.model.config._attn_implementation != "sdpa"):
        stored = cache.get_seq_length(next(iter(layers))) if cache is not None else 0
        keys = torch.arange(stored + length, device=hidden.device)[None]
        mask = causal_mask(keys[:, stored:], keys, dtype=hidden.dtype)
    arguments = {"attention_mask": mask, "position_ids": positions, lm.arch.cache_argument: cache}
    if lm.arch.rotary is not None:
        arguments["position_embeddings"] = lm.arch.rotary(hidden, position_ids=positions)
    for layer in layers:
        hidden = first_tensor(lm.arch.blocks[layer](hidden, use_cache=cache is not None, **arguments))
        if observe is not None:
            changed = observe(layer, hidden)
            hidden = hidden if changed is None else changed
    return hidden


def logits(lm: LM, hidden: Float[Tensor, "*shape d_model"]) -> Float[Tensor, "*shape vocab"]:
    """Project final residual states to the vocabulary (final norm, then unembedding)."""
    return lm.arch.unembedding(lm.arch.final_norm(hidden))


def pad_right(
    sequences: Sequence[Sequence[int]], pad: int, device: torch.device | str = "cpu"
) -> Int[Tensor, "row pos"]:
    """Stack token sequences of several lengths, filled on the right.

    Causal models never look right, so padding needs no attention mask: its states are simply not read.
    """
    width = max(map(len, sequences))
    return torch.tensor([[*ids, *[pad] * (width - len(ids))] for ids in sequences], device=device)


def token_batches(lengths: Sequence[int], max_tokens: int) -> list[list[int]]:
    """Group indices of sequences, longest first, so that a padded batch holds at most `max_tokens` tokens.

    Every batch has at least one sequence. Batches keep similar lengths together, so little padding is computed.
    """
    order = sorted(range(len(lengths)), key=lambda index: (-lengths[index], index))
    batches: list[list[int]] = []
    for index in order:
        if batches and lengths[batches[-1][0]] * (len(batches[-1]) + 1) <= max_tokens:
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches
