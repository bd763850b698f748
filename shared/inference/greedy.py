"""Greedy continuations up to a natural stop, and the distribution of the first token on the way.

Free generation shows what a teacher-forced score hides: the answer's words are not fed to the model, nor its length
(Yang et al. 2025, arXiv:2502.11177). A text ends behind the first token that holds a full stop or a line break, or at
the end-of-text token.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from shared.edits.deltas import RowEdits
from shared.errors import ConfigError
from shared.inference.generation import KeyValueBuffer
from shared.model.forward import add_positions, logits, run_blocks, token_embeddings
from shared.model.lean import fused_gelu
from shared.model.models import LM

STOPS = (".", "\n")
_ENDING: WeakKeyDictionary = WeakKeyDictionary()


@dataclass(frozen=True)
class Continuation:
    """What a model says after a prompt.

    Attributes:
        text: the new tokens, without the stop and without spaces around them.
        stopped: whether it came to a stop by itself.
        first: natural-log probabilities of the first new token.
    """

    text: str
    stopped: bool
    first: Float[Tensor, " vocab"]


def ending_tokens(lm: LM) -> Bool[Tensor, " vocab"]:
    """Return which tokens end a text."""
    if lm.model not in _ENDING:
        size = lm.arch.unembedding.weight.shape[0]
        texts = lm.tokenizer.batch_decode([[token] for token in range(len(lm.tokenizer))])
        ends = [any(stop in text for stop in STOPS) for text in texts]
        found = torch.zeros(size, dtype=torch.bool, device=lm.device)
        found[: len(ends)] = torch.tensor(ends, device=lm.device)
        found[lm.tokenizer.eos_token_id] = True
        _ENDING[lm.model] = found
    return _ENDING[lm.model]


@torch.no_grad()
def _continue_batch(lm: LM, prompts: Sequence[Sequence[int]], new_tokens: int) -> tuple[Tensor, Tensor]:
    """Return all rows' tokens, and the log-probabilities of each row's first new token."""
    lengths = torch.tensor([len(prompt) for prompt in prompts], device=lm.device)
    longest = int(lengths.max()) + new_tokens
    rows = torch.zeros(len(prompts), longest, dtype=torch.long, device=lm.device)
    for row, prompt in enumerate(prompts):
        rows[row, : len(prompt)] = torch.tensor(prompt)
    first: list[Tensor | None] = [None] * len(prompts)
    ended = torch.zeros(len(prompts), dtype=torch.bool, device=lm.device)
    ending, cache = ending_tokens(lm), KeyValueBuffer(longest)
    done, stop = 0, int(lengths.min())
    while stop < longest and not ended.all():
        positions = torch.arange(done, stop, device=lm.device)[None]
        hidden = add_positions(lm, token_embeddings(lm, rows[:, done:stop]), positions)
        hidden = run_blocks(lm, hidden, range(lm.arch.n_layers), positions=positions, cache=cache)
        scores = logits(lm, hidden[:, -1]).float()
        for row in (lengths == stop).nonzero()[:, 0].tolist():
            first[row] = scores[row].log_softmax(-1)
        best = scores.argmax(-1)
        new = (stop >= lengths) & (stop < lengths + new_tokens)
        rows[:, stop] = torch.where(new, best, rows[:, stop])
        ended |= (new & ending[best]) | (stop + 1 >= lengths + new_tokens)
        done, stop = stop, stop + 1
    return rows, torch.stack(first)


def continue_greedily(
    lm: LM,
    prompts: Sequence[Sequence[int]],
    *,
    new_tokens: int,
    edits: RowEdits | None = None,
    edit_of: Sequence[int | None] | None = None,
    batch_rows: int = 128,
) -> list[Continuation]:
    """Continue each prompt greedily until it stops by itself, or for `new_tokens` tokens.

    Args:
        prompts: token ids, at least one each.
        new_tokens: most tokens that are added.
        edits, edit_of: as in `score_targets`.
        batch_rows: rows per batch; keys and values of that many rows are held.

    Raises:
        ConfigError: a prompt with its continuation exceeds the model's positions, or `new_tokens` is below 1.

    Cost: one forward over each position up to the last row's stop, with keys and values kept.
    """
    longest = max(map(len, prompts), default=0) + new_tokens
    if new_tokens < 1 or longest > lm.arch.n_positions:
        raise ConfigError(
            f"{new_tokens} new tokens behind prompts of up to {longest - new_tokens} tokens do not fit the model's "
            f"{lm.arch.n_positions} positions"
        )
    if edit_of is None:
        edit_of = [None] * len(prompts)
    order = sorted(range(len(prompts)), key=lambda row: (len(prompts[row]), row))
    found: list[Continuation | None] = [None] * len(prompts)
    ending = ending_tokens(lm).cpu()
    for begin in range(0, len(order), batch_rows):
        batch = order[begin : begin + batch_rows]
        if edits is not None:
            edits.select([edit_of[row] for row in batch])
        with fused_gelu(lm):
            rows, first = _continue_batch(lm, [prompts[row] for row in batch], new_tokens)
        for row, ids, log_probs in zip(batch, rows.tolist(), first.cpu(), strict=True):
            new = ids[len(prompts[row]) : len(prompts[row]) + new_tokens]
            stops = [place for place, token in enumerate(new) if ending[token]]
            text = lm.tokenizer.decode(new[: stops[0] + 1] if stops else new)
            found[row] = Continuation(_cut(text, lm.tokenizer.eos_token), bool(stops), log_probs)
    return found


def _cut(text: str, end: str | None) -> str:
    """Return a text up to its first stop, without spaces around it."""
    for stop in [*STOPS, *([end] if end else [])]:
        text = text.split(stop)[0]
    return text.strip()
