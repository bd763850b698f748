"""Causal tracing: which hidden states restore a fact when the subject's embeddings are corrupted (ROME §2).

A *clean* run predicts the answer; a *corrupted* run adds noise to the embeddings of the subject's tokens; a *restored*
run is corrupted except that, at one token, the output of one block (or of the MLP or attention modules in a window of
layers) is that of the clean run. The probability of the answer is averaged over noise samples.

The authors' code makes one pass over all tokens and layers for each (token, layer). Here each fact has one clean and
one corrupted pass, and `wavefront.propagate` computes for each restoration only what it can change: positions from the
restored one on, blocks above it. Cells before the subject equal the corrupted run and are not computed.

Cost per fact of T tokens (subject at b), L layers, S samples: about S·Σ_{t≥b}(T − t)·L²/2 block evaluations for the
states, against (S + 1)·T²·L² for one pass per cell; memory for each group of facts S·T·L·(3 to 6)·d_model numbers for
the recorded runs, plus what one batch of `max_tokens` tokens needs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from shared.errors import ConfigError
from shared.model.lean import fused_gelu
from shared.model.models import LM
from shared.traces.trace_runs import MAX_TOKENS, Corruption, FactGroup, TracedFact, group_facts, prepare_group
from shared.traces.wavefront import SITES, Override, entry_states, propagate

RestorationKind = Literal["state", "mlp", "attention"]


@dataclass(frozen=True)
class Restoration:
    """What is restored at one token.

    Attributes:
        kind: `state` the output of block l; `mlp` or `attention` that module's output in a window of layers.
        window: number of layers around l, clipped at the ends; as in the authors' code it reaches from l − ⌊w/2⌋ to
            l + ⌈w/2⌉ − 1 (a window of 10 is l−5 … l+4, where the paper's text says l−4 … l+5).
    """

    kind: RestorationKind
    window: int = 1

    def __post_init__(self) -> None:
        if self.kind not in ("state", *SITES):
            raise ConfigError(f"restoration kind {self.kind!r} is unknown; choose state, mlp or attention")
        if self.window < 1 or (self.kind == "state" and self.window != 1):
            raise ConfigError(
                f"restoration of {self.kind!r} has window {self.window}; expected 1 or more (states restore one layer)"
            )

    def layers(self, center: int, n_layers: int) -> range:
        """Return the restored layers of the window around `center`."""
        half = self.window // 2
        return range(max(0, center - half), min(n_layers, center - half + self.window))


STATE = Restoration("state")


@dataclass(frozen=True)
class FactTrace:
    """Traced probabilities of one fact.

    Attributes:
        fact: what was traced.
        answer: tokens whose probability was measured.
        high, low: that probability in the clean and, averaged over samples, in the corrupted runs.
        scores: restoration → probability with that restoration, for each prompt token and layer.
    """

    fact: TracedFact
    answer: tuple[int, ...]
    high: float
    low: float
    scores: dict[Restoration, Float[Tensor, "pos layer"]]


@dataclass(frozen=True)
class _Change:
    """What is restored at one token; `cells` are the (restoration, layer l) whose clipped windows are these layers."""

    kind: RestorationKind
    layers: range
    cells: list[tuple[Restoration, int]]


def _changes(restorations: Sequence[Restoration], n_layers: int) -> list[_Change]:
    """Return the distinct sets of layers of all restorations, by first layer; near the ends windows coincide."""
    distinct: dict[tuple[RestorationKind, range], list[tuple[Restoration, int]]] = {}
    for restoration in restorations:
        for center in range(n_layers):
            layers = restoration.layers(center, n_layers)
            distinct.setdefault((restoration.kind, layers), []).append((restoration, center))
    changes = [_Change(kind, layers, cells) for (kind, layers), cells in distinct.items()]
    return sorted(changes, key=lambda change: change.layers.start)


class _Tracer:
    """Traces all cells of one group."""

    def __init__(self, lm: LM, group: FactGroup, restorations: Sequence[Restoration], max_tokens: int):
        self.lm, self.group, self.max_tokens = lm, group, max_tokens
        self.changes = _changes(restorations, lm.arch.n_layers)
        self.start = group.facts[0].start
        self.entries = {
            (site, layer): entry_states(
                lm, group.corrupted, site, layer, group.per_row(group.clean.outputs[site][layer]), self.start
            )
            for site, layer in sorted({(c.kind, c.layers.start) for c in self.changes})
            if site in SITES
        }
        blank = group.low.cpu()[:, None, None].repeat(1, group.length, lm.arch.n_layers)
        self.scores = {restoration: blank.clone() for restoration in restorations}

    def _state(self, change: _Change, rows: slice, position: int) -> Float[Tensor, "row d_model"]:
        kind, layer = change.kind, change.layers.start
        if kind == "state":
            return self.group.per_row(self.group.clean.after[layer][:, position])[rows]
        return self.entries[kind, layer][rows, position - self.start]

    def _overrides(self, batch: list[_Change], rows: slice, position: int) -> Callable[[int, int], list[Override]]:
        def overrides(layer: int, count: int) -> list[Override]:
            found = []
            for site in SITES:
                members = [i for i, c in enumerate(batch[:count]) if c.kind == site and layer in c.layers]
                if members:
                    values = self.group.per_row(self.group.clean.outputs[site][layer][:, position])[rows]
                    found.append(Override(site, members, values))
            return found

        return overrides

    def trace(self) -> None:
        """Fill `scores` for every token from the first subject token on."""
        group = self.group
        first_read = group.length - 1
        for position in range(self.start, group.length):
            active = sum(fact.start <= position for fact in group.facts)
            rows = slice(0, active * group.samples)
            # A restoration inside the last block reaches no other position, so elsewhere it changes nothing.
            effective = [
                c for c in self.changes if position >= first_read or c.layers.start < self.lm.arch.n_layers - 1
            ]
            size = max(1, self.max_tokens // (rows.stop * (group.width - position)))
            for first in range(0, len(effective), size):
                self._trace_batch(effective[first : first + size], rows, position)

    def _trace_batch(self, batch: list[_Change], rows: slice, position: int) -> None:
        hidden = propagate(
            self.lm,
            self.group.corrupted,
            rows,
            position,
            [change.layers.start for change in batch],
            lambda i: self._state(batch[i], rows, position),
            self._overrides(batch, rows, position),
            self.group.read,
        )
        probability = self.group.mean_probability(self.lm, hidden).cpu()
        for change, values in zip(batch, probability, strict=True):
            for restoration, center in change.cells:
                self.scores[restoration][: len(values), position, center] = values


@torch.no_grad()
def trace_facts(
    lm: LM,
    facts: Sequence[TracedFact],
    restorations: Sequence[Restoration],
    corruption: Corruption,
    *,
    max_tokens: int = MAX_TOKENS,
) -> list[FactTrace]:
    """Trace facts: the answer's probability with each restoration at each prompt token and layer (ROME §2.1).

    Args:
        facts: prompts with their subjects.
        restorations: what to restore, e.g. `[STATE, Restoration("mlp", 10), Restoration("attention", 10)]`.
        corruption: noise, samples and seed.
        max_tokens: bound on the tokens of one forward pass; results depend on it only through float rounding.

    Returns:
        One trace per fact, in order. Tokens before the subject have the corrupted probability exactly.
    """
    traces: list[FactTrace | None] = [None] * len(facts)
    sites = ["mlp"] if any(restoration.kind == "mlp" for restoration in restorations) else []
    for indices in group_facts(facts, corruption.samples, max_tokens, lambda fact: (len(fact.ids),)):
        group = prepare_group(lm, [facts[i] for i in indices], corruption, sites)
        with fused_gelu(lm):
            tracer = _Tracer(lm, group, restorations, max_tokens)
            tracer.trace()
        for place, index in enumerate(indices):
            traces[index] = FactTrace(
                facts[index],
                tuple(group.targets[place].tolist()),
                group.high[place].item(),
                group.low[place].item(),
                {restoration: scores[place].float() for restoration, scores in tracer.scores.items()},
            )
    return traces
