"""Zeroing of MLP outputs: how much of a fact's probability goes with a window of layers (App. C; code not released)."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from shared.fit.fitting import Reads, Row, embed_rows, teacher_forced
from shared.model.forward import run_blocks, token_batches
from shared.model.hooks import replace
from shared.model.lean import fused_gelu
from shared.model.models import LM
from shared.traces.trace_runs import TracedFact
from shared.traces.tracing import Restoration


@torch.no_grad()
def zeroed_probabilities(
    lm: LM, facts: Sequence[TracedFact], window: int, *, max_tokens: int = 4096
) -> Float[Tensor, "fact layer"]:
    """Return each target's joint probability with the MLPs of a window around each layer silent at the subject.

    A clean run, except that the outputs of the window's MLPs are zero at all subject tokens.

    Args:
        facts: prompts with their targets.
        window: number of layers, clipped at the ends like a window of causal tracing.

    Raises:
        ValueError: a fact without a target.

    Cost: for each layer l the blocks from the window's first one on, over all texts.
    """
    if any(fact.target is None for fact in facts):
        raise ValueError("zeroing measures the probability of a target; give every fact one")
    rows = [teacher_forced(fact.ids, fact.target) for fact in facts]
    found = torch.zeros(len(facts), lm.arch.n_layers, dtype=torch.float64)
    with fused_gelu(lm):
        for batch in token_batches([len(row.ids) for row in rows], max_tokens):
            chosen = torch.tensor(batch)
            found[chosen] = _of_batch(lm, [facts[i] for i in batch], [rows[i] for i in batch], window)
    return found


def _of_batch(lm: LM, facts: list[TracedFact], rows: list[Row], window: int) -> Float[Tensor, "fact layer"]:
    count, layers = lm.arch.n_layers, range(lm.arch.n_layers)
    reads = Reads.of(rows, [0] * len(rows), lm.device)
    entering = [embed_rows(lm, rows, [len(row.ids) for row in rows])]
    run_blocks(lm, entering[0], layers, observe=lambda _layer, after: entering.append(after))
    columns = torch.arange(entering[0].shape[1], device=lm.device)
    starts, stops = (
        torch.tensor([getattr(fact, end) for fact in facts], device=lm.device) for end in ("start", "stop")
    )
    kept = ((columns < starts[:, None]) | (columns >= stops[:, None]))[..., None]

    def silence(_index: int, output: Tensor) -> Tensor:
        return output * kept

    found = []
    for center in layers:
        silent = Restoration("mlp", window).layers(center, count)
        with replace([lm.arch.mlp(layer) for layer in silent], silence):
            hidden = run_blocks(lm, entering[silent.start], range(silent.start, count))
        found.append(reads.log_probs(lm, hidden).sum(-1).exp().double().cpu())
    return torch.stack(found, dim=1)
