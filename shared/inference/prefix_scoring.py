"""Teacher-forced log-probabilities of many targets behind long common beginnings, such as an editing context.

The sequences of one group differ in their last tokens only. The part that all of them begin with runs once; its keys
and values serve every sequence, whose few remaining tokens are batched. Sequences are compared as tokens of the full
text, so nothing depends on where a tokenizer joins characters.
"""

from collections.abc import Sequence

import torch

from shared.inference.scoring import TargetScore, plan_rows, read_targets
from shared.model.forward import KeyValues, add_positions, embed, pad_right, run_blocks, token_batches, token_embeddings
from shared.model.lean import fused_gelu, mlp_only_at
from shared.model.models import LM


def common_prefix(sequences: Sequence[Sequence[int]]) -> int:
    """Return how many first tokens all sequences share, at most all but the last token of the shortest."""
    first, last = min(map(tuple, sequences)), max(map(tuple, sequences))
    most = min(map(len, sequences)) - 1
    return next((at for at in range(most) if first[at] != last[at]), most)


@torch.no_grad()
def score_behind_prefix(
    lm: LM,
    prompts: Sequence[Sequence[int]],
    targets: Sequence[Sequence[int]],
    max_tokens: int = 1024,
) -> list[TargetScore]:
    """Score each target after its prompt, computing what all prompts begin with only once.

    Equals `score_targets` on the same pairs up to rounding (about 1e-6 in float32).

    Args:
        prompts: token ids of whole prompts, at least one token each.
        targets: token ids, at least one each.
        max_tokens: bound on the padded tokens of one pass, the stored prefix not counted.

    Raises:
        ValueError: an empty prompt or target, or no prompts.

    Cost: one pass over the common prefix of P tokens and one over each distinct remainder; the keys and values of the
    prefix are held once and copied for the rows of one pass.
    """
    if not prompts or any(len(ids) == 0 for ids in [*prompts, *targets]):
        raise ValueError("every prompt and every target needs at least one token")
    shared = common_prefix(prompts)
    rests = [list(prompt[shared:]) for prompt in prompts]
    rows, reads = plan_rows(rests, targets, [None] * len(rests))
    readers: list[list[int]] = [[] for _ in rows]
    for pair, read in enumerate(reads):
        readers[read.row].append(pair)
    scores: list[TargetScore | None] = [None] * len(prompts)
    layers, pad, last = range(lm.arch.n_layers), lm.tokenizer.pad_token_id, lm.arch.n_layers - 1
    stored = KeyValues(record=True)
    with fused_gelu(lm):
        if shared:
            ids = pad_right([prompts[0][:shared]], pad, lm.device)
            # Of the last block, only the keys and values at the prefix are ever used.
            with mlp_only_at(lm, last, torch.zeros_like(ids, dtype=torch.bool)):
                run_blocks(lm, embed(lm, ids), layers, cache=stored)
        for batch in token_batches([len(ids) for _, ids in rows], max_tokens):
            ids = pad_right([rows[row][1] for row in batch], pad, lm.device)
            positions = torch.arange(shared, shared + ids.shape[1], device=lm.device)[None]
            hidden = add_positions(lm, token_embeddings(lm, ids), positions)
            cache = stored.select(torch.zeros(len(batch), dtype=torch.long, device=lm.device))
            hidden = run_blocks(lm, hidden, layers, positions=positions, cache=cache)
            pairs = [(line, pair) for line, row in enumerate(batch) for pair in readers[row]]
            for pair, score in zip((p for _, p in pairs), read_targets(lm, hidden, pairs, reads, targets), strict=True):
                scores[pair] = score
    return scores


def score_in_groups(
    lm: LM,
    prompts: Sequence[Sequence[int]],
    targets: Sequence[Sequence[int]],
    group_of: Sequence[int],
    max_tokens: int = 1024,
) -> list[TargetScore]:
    """Score each target after its prompt; the prompts of one group share a long beginning, see `score_behind_prefix`.

    Args:
        group_of: number of each pair's group.

    Memory: that of one group.
    """
    members: dict[int, list[int]] = {}
    for pair, group in enumerate(group_of):
        members.setdefault(group, []).append(pair)
    scores: list[TargetScore | None] = [None] * len(prompts)
    for pairs in members.values():
        found = score_behind_prefix(lm, [prompts[p] for p in pairs], [targets[p] for p in pairs], max_tokens)
        for pair, score in zip(pairs, found, strict=True):
            scores[pair] = score
    return scores
