"""Teacher-forced log-probabilities of targets: the one kernel behind every probability in this project.

A target's first token is predicted at the end of its prompt, so a one-token target needs no row of its own: rows that
are prefixes of other rows (of the same edit) are dropped and read from the longer ones. Rows are batched by length,
each may carry its own edit, and the vocabulary projection runs only at positions whose predictions are wanted.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from shared.edits.deltas import RowEdits
from shared.model.forward import embed, logits, pad_right, run_blocks, token_batches
from shared.model.lean import fused_gelu
from shared.model.models import LM


@dataclass(frozen=True)
class TargetScore:
    """How the model rates one target after one prompt.

    Attributes:
        log_probs: natural-log probability of each target token given the prompt and the tokens before it.
        predicted: the most probable token at each target token's place.
        correct: whether each target token is that token.
    """

    log_probs: tuple[float, ...]
    predicted: tuple[int, ...]
    correct: tuple[bool, ...]

    @property
    def mean_nll(self) -> float:
        """Mean negative log-probability per token, in nats."""
        return -sum(self.log_probs) / len(self.log_probs)

    @property
    def probability(self) -> float:
        """Geometric mean of the tokens' probabilities, which is what ROME's magnitudes compare."""
        return math.exp(-self.mean_nll)


@dataclass(frozen=True)
class _Read:
    """Where a target's predictions are read: `row`'s positions `start` … `start + length - 1`."""

    row: int
    start: int
    length: int


def plan_rows(
    prompts: Sequence[Sequence[int]], targets: Sequence[Sequence[int]], edit_of: Sequence[int | None]
) -> tuple[list[tuple[int | None, tuple[int, ...]]], list[_Read]]:
    """Return the distinct maximal rows (edit, tokens) and where each target is read."""
    wanted = [(edit, (*prompt, *target[:-1])) for prompt, target, edit in zip(prompts, targets, edit_of, strict=True)]
    place: dict[tuple[int | None, tuple[int, ...]], int] = {}
    rows: list[tuple[int | None, tuple[int, ...]]] = []
    # In descending order every sequence comes right after its own extensions.
    for edit, ids in sorted(set(wanted), key=lambda row: (-1 if row[0] is None else row[0], row[1]), reverse=True):
        if rows and rows[-1][0] == edit and rows[-1][1][: len(ids)] == ids:
            place[edit, ids] = len(rows) - 1
        else:
            place[edit, ids] = len(rows)
            rows.append((edit, ids))
    reads = [
        _Read(place[row], len(prompt) - 1, len(target))
        for row, prompt, target in zip(wanted, prompts, targets, strict=True)
    ]
    return rows, reads


@torch.no_grad()
def score_targets(
    lm: LM,
    prompts: Sequence[Sequence[int]],
    targets: Sequence[Sequence[int]],
    *,
    edits: RowEdits | None = None,
    edit_of: Sequence[int | None] | None = None,
    max_tokens: int = 1024,
) -> list[TargetScore]:
    """Score each target after its prompt.

    Args:
        prompts: token ids, at least one each.
        targets: token ids, at least one each.
        edits: the open `row_edits` context, if rows carry edits.
        edit_of: index of each pair's edit in that context, or None for the unedited model.
        max_tokens: bound on the padded tokens of one forward pass; on a CPU about a thousand is fastest (activations
            stay in its cache), on a GPU more is.

    Raises:
        ValueError: an empty prompt or target.

    Cost: one forward over each distinct (edit, prompt + target without its last token) that is no prefix of another,
    plus the unembedding at one position per target token. Memory grows with `max_tokens`, not with the number of pairs.
    """
    if any(len(prompt) == 0 for prompt in prompts) or any(len(target) == 0 for target in targets):
        raise ValueError("every prompt and every target needs at least one token")
    if edit_of is None:
        edit_of = [None] * len(prompts)
    rows, reads = plan_rows(prompts, targets, edit_of)
    readers: list[list[int]] = [[] for _ in rows]
    for pair, read in enumerate(reads):
        readers[read.row].append(pair)
    scores: list[TargetScore | None] = [None] * len(prompts)
    pad = lm.tokenizer.pad_token_id
    with fused_gelu(lm):
        for batch in token_batches([len(ids) for _, ids in rows], max_tokens):
            ids = pad_right([rows[row][1] for row in batch], pad, lm.device)
            if edits is not None:
                edits.select([rows[row][0] for row in batch])
            hidden = run_blocks(lm, embed(lm, ids), range(lm.arch.n_layers))
            pairs = [(line, pair) for line, row in enumerate(batch) for pair in readers[row]]
            for pair, score in zip((p for _, p in pairs), read_targets(lm, hidden, pairs, reads, targets), strict=True):
                scores[pair] = score
    return scores


def read_targets(
    lm: LM,
    hidden: Tensor,
    pairs: list[tuple[int, int]],
    reads: list[_Read],
    targets: Sequence[Sequence[int]],
) -> list[TargetScore]:
    """Project the wanted positions of one batch and pick out each target's tokens."""
    lines = [line for line, pair in pairs for _ in range(reads[pair].length)]
    places = [reads[pair].start + k for _, pair in pairs for k in range(reads[pair].length)]
    wanted = torch.tensor([token for _, pair in pairs for token in targets[pair]], device=hidden.device)
    projected = logits(lm, hidden[lines, places])
    log_probs = projected.to(torch.promote_types(projected.dtype, torch.float32)).log_softmax(-1)
    values = log_probs.gather(1, wanted[:, None])[:, 0].tolist()
    best = log_probs.argmax(-1)
    predicted, correct = best.tolist(), (best == wanted).tolist()
    scores, reached = [], 0
    for _, pair in pairs:
        end = reached + reads[pair].length
        picked = slice(reached, end)
        scores.append(TargetScore(tuple(values[picked]), tuple(predicted[picked]), tuple(correct[picked])))
        reached = end
    return scores
