"""Continuations of a recorded run that change one token's state: the engine under causal tracing.

A change at position t after block l can reach only positions ≥ t of blocks > l. So the recorded run lends its keys and
values for positions < t, its block outputs for the columns that are still unchanged, and only the rest is computed.
Changes that begin at different layers share one batch: at layer l the rows whose change begins there are appended to
the rows that are already under way.
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from shared.model.forward import KeyValues, causal_mask, logits, run_blocks
from shared.model.hooks import capture, replace
from shared.model.lean import mlp_only_at
from shared.model.models import LM

SITES = ("mlp", "attention")
HEAD_ROWS = 512


def site_module(lm: LM, site: str, layer: int) -> nn.Module:
    """Return the feed-forward or the self-attention module of a block."""
    return lm.arch.mlp(layer) if site == "mlp" else lm.arch.attention(layer)


@dataclass(frozen=True)
class Run:
    """What one forward pass leaves behind.

    Attributes:
        entering: residual stream entering block 0, (row, pos, d_model).
        after: residual stream after each block.
        cache: keys and values of every block.
        outputs: site (`mlp`, `attention`) → that module's output in each block.
    """

    entering: Tensor
    after: list[Tensor]
    cache: KeyValues
    outputs: dict[str, list[Tensor]] = field(default_factory=dict)

    def before(self, layer: int) -> Tensor:
        """Return the residual stream entering block `layer`."""
        return self.entering if layer == 0 else self.after[layer - 1]


@dataclass(frozen=True)
class Override:
    """Outputs that some rows of a batch are given at the changed position instead of their own.

    Attributes:
        site: `mlp` or `attention`.
        members: indices of the changes concerned.
        values: the output per recorded row, (row, d_model).
    """

    site: str
    members: list[int]
    values: Tensor


class _SharedPrefix(KeyValues):
    """Keys and values of the positions before the change; each recorded row serves all changes made to it."""

    def __init__(self, recorded: KeyValues, rows: slice, length: int):
        super().__init__()
        self.length = length
        self.layers = {
            layer: (key[rows, :, :length], value[rows, :, :length]) for layer, (key, value) in recorded.layers.items()
        }

    def get_seq_length(self, layer_idx: int = 0) -> int:
        return self.length

    def update(self, key: Tensor, value: Tensor, layer_idx: int, *_: object, **__: object) -> tuple[Tensor, Tensor]:
        """Return the shared prefix followed by each row's own new keys and values."""
        if self.length == 0:
            return key, value
        past_key, past_value = self.layers[layer_idx]
        return self._join(past_key, key), self._join(past_value, value)

    @staticmethod
    def _join(past: Tensor, new: Tensor) -> Tensor:
        new = new.unflatten(0, (-1, past.shape[0]))  # (change, row, head, pos, d_head)
        return torch.cat([past.expand(new.shape[0], *past.shape), new], dim=3).flatten(0, 1)


@torch.no_grad()
def record(lm: LM, entering: Float[Tensor, "row pos d_model"], sites: Sequence[str] = ()) -> Run:
    """Run all blocks and keep their outputs, keys and values, and the outputs of the named sites.

    Memory: row·pos·n_layers·(1 + 2·d_kv/d_model + sites)·d_model numbers.
    """
    layers = range(lm.arch.n_layers)
    run = Run(entering, [], KeyValues(record=True))
    with capture({f"{site}{layer}": site_module(lm, site, layer) for site in sites for layer in layers}) as seen:
        run_blocks(lm, entering, layers, cache=run.cache, observe=lambda _layer, hidden: run.after.append(hidden))
    run.outputs.update({site: [seen[f"{site}{layer}"] for layer in layers] for site in sites})
    return run


def _imposing(changes: int, overrides: Sequence[Override]) -> Callable[[int, Tensor], Tensor]:
    def impose(_index: int, output: Tensor) -> Tensor:
        imposed = output.clone()
        first_column = imposed.unflatten(0, (changes, -1))[:, :, 0]  # (change, row, d_model), a view
        for override in overrides:
            first_column[override.members] = override.values
        return imposed

    return impose


@torch.no_grad()
def propagate(
    lm: LM,
    base: Run,
    rows: slice,
    position: int,
    begins: Sequence[int],
    states: Callable[[int], Float[Tensor, "row d_model"]],
    overrides: Callable[[int, int], list[Override]],
    read: int,
) -> Float[Tensor, "change row read d_model"]:
    """Change the state of one token in several ways and return the final states of the last positions.

    Args:
        base: the recorded run that is changed.
        rows: its rows to change (all in each way).
        position: index t of the changed token.
        begins: the layer after which each change begins, ascending.
        states: `states(i)` is the state that change i puts at t after block `begins[i]`.
        overrides: `overrides(layer, n)` lists the module outputs imposed at t in block `layer` on the first n changes.
        read: how many trailing positions are wanted.

    Cost: 2·P_block FLOP for each change, row, position ≥ t and layer > begins[i] (of the last block's MLP, only the
    read positions). Memory: changes·rows·(T − t) states plus the joined keys and values of one block.
    """
    length, last = base.entering.shape[1], lm.arch.n_layers - 1
    columns = torch.arange(length, device=lm.device)[None]
    positions = columns[:, position:]
    mask = causal_mask(positions, columns, dtype=base.entering.dtype)
    read_last = positions >= length - read
    prefix = _SharedPrefix(base.cache, rows, position)
    hidden = base.entering[rows, position:][None][:0]
    for layer in range(begins[0], last + 1):
        if (changes := hidden.shape[0]) > 0:
            with ExitStack() as stack:
                if layer == last:
                    stack.enter_context(mlp_only_at(lm, layer, read_last.expand(changes * hidden.shape[1], -1)))
                active = overrides(layer, changes)
                for site in SITES:
                    if imposed := [override for override in active if override.site == site]:
                        stack.enter_context(replace([site_module(lm, site, layer)], _imposing(changes, imposed)))
                flat = run_blocks(lm, hidden.flatten(0, 1), [layer], positions=positions, mask=mask, cache=prefix)
            hidden = flat.unflatten(0, (changes, -1))
        if new := [change for change, begin in enumerate(begins) if begin == layer]:
            added = base.after[layer][rows, position:][None].repeat(len(new), 1, 1, 1)
            added[:, :, 0] = torch.stack([states(change) for change in new])
            hidden = torch.cat([hidden, added])
    return hidden[:, :, -read:]


@torch.no_grad()
def entry_states(
    lm: LM, base: Run, site: str, layer: int, values: Float[Tensor, "row pos d_model"], start: int
) -> Float[Tensor, "row suffix d_model"]:
    """Return, for every position from `start` on, the state after block `layer` if that block's site is given `values`.

    Within one block a module's output at a token changes that token's state only, so one pass over the block serves
    the changes at all positions.
    """
    if site == "mlp":
        return (base.after[layer] + (values - base.outputs["mlp"][layer]))[:, start:]
    columns = torch.arange(base.entering.shape[1], device=lm.device)[None]
    positions = columns[:, start:]
    with replace([lm.arch.attention(layer)], lambda _index, _output: values[:, start:]):
        return run_blocks(
            lm,
            base.before(layer)[:, start:],
            [layer],
            positions=positions,
            mask=causal_mask(positions, columns, dtype=values.dtype),
            cache=_SharedPrefix(base.cache, slice(None), start),
        )


@torch.no_grad()
def joint_probability(
    lm: LM, hidden: Float[Tensor, "*rows read d_model"], targets: Int[Tensor, "*#rows read"]
) -> Float[Tensor, "*rows"]:
    """Return the probability of each row's target tokens, the product over its `read` positions."""
    wanted = targets.expand(hidden.shape[:-1]).reshape(-1, 1)
    flat = hidden.reshape(-1, hidden.shape[-1])
    log_probs = []
    for first in range(0, len(flat), HEAD_ROWS):
        scores = logits(lm, flat[first : first + HEAD_ROWS]).float()
        chosen = scores.gather(1, wanted[first : first + HEAD_ROWS])[:, 0]
        log_probs.append(chosen - scores.logsumexp(-1))
    return torch.cat(log_probs).reshape(hidden.shape[:-1]).sum(-1).exp()


def greedy_tokens(lm: LM, hidden: Float[Tensor, "row d_model"]) -> Int[Tensor, " row"]:
    """Return the most probable next token after each final state."""
    return logits(lm, hidden).argmax(-1)
