"""Causal tracing with part of the network severed at the last subject token (ROME §2.3, Figs. 3 and 14)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from shared.errors import ConfigError
from shared.model.hooks import replace
from shared.model.models import LM
from shared.traces.trace_runs import MAX_TOKENS, Corruption, FactGroup, TracedFact, group_facts, prepare_group
from shared.traces.wavefront import SITES, Override, Run, propagate, record, site_module

FrozenNoise = Literal["next", "same"]


@dataclass(frozen=True)
class SeveredTrace:
    """Restoring the last subject token's state with parts of the network frozen there (ROME §2.3, Fig. 3).

    Attributes:
        ordinary: probability with the state after block l restored, for each l.
        severed: `mlp` or `attention` → the same with that token's module outputs held at their corrupted values.
    """

    fact: TracedFact
    answer: tuple[int, ...]
    high: float
    low: float
    ordinary: Float[Tensor, " layer"]
    severed: dict[str, Float[Tensor, " layer"]]


def _severed_curve(
    lm: LM, group: FactGroup, base: Run, site: str | None, max_tokens: int
) -> Float[Tensor, "fact layer"]:
    """Restore the last subject token's state after each block, with `site` frozen there at its corrupted outputs."""
    n_layers, position = lm.arch.n_layers, group.facts[0].stop - 1
    rows = slice(0, len(group.facts) * group.samples)
    size = max(1, max_tokens // (rows.stop * (group.width - position)))
    curves = []
    for first in range(0, n_layers, size):
        layers = range(first, min(first + size, n_layers))

        def overrides(layer: int, count: int) -> list[Override]:
            if site is None:
                return []
            return [Override(site, list(range(count)), group.corrupted.outputs[site][layer][:, position])]

        hidden = propagate(
            lm,
            base,
            rows,
            position,
            layers,
            lambda i, layers=layers: group.per_row(group.clean.after[layers[i]][:, position]),
            overrides,
            group.read,
        )
        curves.append(group.mean_probability(lm, hidden))
    return torch.cat(curves).T.float().cpu()


def _frozen_run(lm: LM, group: FactGroup, site: str) -> Run:
    """Run on the second noise draw while `site`'s outputs at the last subject token come from the first."""
    position = group.facts[0].stop - 1

    def freeze(layer: int, output: Tensor) -> Tensor:
        frozen = output.clone()
        frozen[:, position] = group.corrupted.outputs[site][layer][:, position]
        return frozen

    with replace([site_module(lm, site, layer) for layer in range(lm.arch.n_layers)], freeze):
        return record(lm, group.redrawn)


@torch.no_grad()
def trace_severed(
    lm: LM,
    facts: Sequence[TracedFact],
    corruption: Corruption,
    *,
    frozen_noise: FrozenNoise = "next",
    max_tokens: int = MAX_TOKENS,
) -> list[SeveredTrace]:
    """Restore the last subject token's state while its MLP or attention outputs stay corrupted (ROME §2.3, Fig. 3).

    Args:
        frozen_noise: `next` as in the authors' code: the frozen outputs come from the first noise draw and the run
            they are put into has the second (the generator is not reset between the two); `same`: one draw for both.
        facts, corruption, max_tokens: as in `trace_facts`.

    Cost: per fact two recorded passes (four with `next`) and 3·L restorations at one token.
    """
    if frozen_noise not in ("next", "same"):
        raise ConfigError(f"frozen_noise {frozen_noise!r} is unknown; choose next or same")
    traces: list[SeveredTrace | None] = [None] * len(facts)
    for indices in group_facts(facts, corruption.samples, max_tokens, lambda fact: (len(fact.ids), fact.stop)):
        group = prepare_group(lm, [facts[i] for i in indices], corruption, SITES)
        ordinary = _severed_curve(lm, group, group.corrupted, None, max_tokens)
        severed = {
            site: _severed_curve(
                lm,
                group,
                _frozen_run(lm, group, site) if frozen_noise == "next" else group.corrupted,
                site,
                max_tokens,
            )
            for site in SITES
        }
        for place, index in enumerate(indices):
            traces[index] = SeveredTrace(
                facts[index],
                tuple(group.targets[place].tolist()),
                group.high[place].item(),
                group.low[place].item(),
                ordinary[place],
                {site: curve[place] for site, curve in severed.items()},
            )
    return traces
