"""Keys and values of an edit: what enters and leaves chosen modules at each prompt's lookup position.

A key is the input of a block's MLP down projection at the subject's token; causal attention makes it depend on nothing
that comes later, so a pass computes the tokens up to the lookup position and the blocks up to the highest layer asked
for, once per distinct beginning.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from shared.fit.fitting import Row, embed_rows
from shared.model.forward import run_blocks, token_batches
from shared.model.hooks import capture
from shared.model.models import LM
from shared.model.tokens import Prompt


@dataclass(frozen=True)
class LookupStates:
    """States at the lookup positions, by layer.

    Attributes:
        keys: input of the MLP's down projection.
        mlp: output of the MLP.
        blocks: output of the block (the residual stream after it).
    """

    keys: dict[int, Float[Tensor, "prompt d_mlp"]]
    mlp: dict[int, Float[Tensor, "prompt d_model"]]
    blocks: dict[int, Float[Tensor, "prompt d_model"]]


@torch.no_grad()
def lookup_states(
    lm: LM,
    prompts: Sequence[Prompt],
    *,
    keys: Sequence[int] = (),
    mlp: Sequence[int] = (),
    blocks: Sequence[int] = (),
    max_tokens: int = 8192,
) -> LookupStates:
    """Read the states of the given layers at each prompt's lookup position.

    Args:
        prompts: tokenised prompts, with their noise if they have any; tokens after `lookup` are not computed.
        keys, mlp, blocks: layers of which each kind of state is wanted.
        max_tokens: bound on the padded tokens of one forward pass.

    Cost: one forward of the blocks up to the highest layer, over each distinct text up to its lookup position.
    """
    # Every noise is its own; only texts without any are computed once.
    texts = [
        (tuple(prompt.ids[: prompt.lookup + 1]), None if prompt.noise is None else place)
        for place, prompt in enumerate(prompts)
    ]
    distinct = list(dict.fromkeys(texts))
    where = {text: index for index, text in enumerate(distinct)}
    order = torch.tensor([where[text] for text in texts], device=lm.device)
    rows = [Row(ids, noise=None if place is None else prompts[place].noise) for ids, place in distinct]
    top = max((*keys, *mlp, *blocks))
    inputs = {f"keys {layer}": lm.arch.mlp_out(layer) for layer in keys}
    outputs = {f"mlp {layer}": lm.arch.mlp(layer) for layer in mlp}
    outputs |= {f"blocks {layer}": lm.arch.block(layer) for layer in blocks}
    found: dict[str, Tensor] = {}
    for batch in token_batches([len(row.ids) for row in rows], max_tokens):
        lengths = [len(rows[i].ids) for i in batch]
        last = torch.tensor(lengths, device=lm.device) - 1
        with capture(inputs, inputs=True) as entering, capture(outputs) as leaving:
            run_blocks(lm, embed_rows(lm, [rows[i] for i in batch], lengths), range(top + 1))
        for site, states in (entering | leaving).items():
            read = states[torch.arange(len(batch), device=lm.device), last]
            if site not in found:
                found[site] = read.new_empty(len(rows), read.shape[1])
            found[site][torch.tensor(batch, device=lm.device)] = read

    def of(kind: str, layers: Sequence[int]) -> dict[int, Tensor]:
        return {layer: found[f"{kind} {layer}"][order] for layer in layers}

    return LookupStates(of("keys", keys), of("mlp", mlp), of("blocks", blocks))
