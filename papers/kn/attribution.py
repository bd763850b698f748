"""Integrated gradients of the answer's probability over all feed-forward neurons (§3.1).

    Attr(wᵢˡ) = w̄ᵢˡ ∫₀¹ ∂P(α·w̄ˡ)/∂wᵢˡ dα

at the answer's place, all neurons of a layer scaled together, the layers apart. The paper prints a right Riemann sum of
20 steps, its code takes a left one, and the re-implementation for GPT models takes both ends; `grid` chooses. Summed
over a layer's neurons, the exact integral is P(w̄) − P(0).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from papers.kn.network import ACTIVATION, PREACTIVATION, SITES, CleanRun, Cloze, Network
from papers.kn.neurons import FLOOR
from shared.errors import ConfigError
from shared.traces.integrated_gradients import GRIDS, path_gradient, riemann


@dataclass(frozen=True)
class AttributionSettings:
    """How attributions are computed.

    Attributes:
        steps: m, nodes of the Riemann sum.
        grid: `left` (the paper's code), `right` (its formula) or `inclusive` (the re-implementation).
        site: `activation` (after the nonlinearity) or `preactivation` (before it, the re-implementation for GPT).
        max_tokens: tokens of one forward and backward pass; memory grows with it and with nothing else.
    """

    steps: int = 20
    grid: str = "left"
    site: str = ACTIVATION
    max_tokens: int = 8192

    def __post_init__(self) -> None:
        for name, known in (("grid", GRIDS), ("site", SITES)):
            if getattr(self, name) not in known:
                raise ConfigError(f"{name} {getattr(self, name)!r} is unknown; choose one of {', '.join(known)}")
        if self.steps < 1:
            raise ConfigError(f"steps is {self.steps}, expected at least 1")


@dataclass(frozen=True)
class Attribution:
    """What one prompt's neurons contribute.

    Attributes:
        scores: integrated gradient of each neuron.
        neurons: value of each neuron at the attributed site; the baseline method takes these as scores.
        probability: probability of the answer.
        predicted: the most probable token.
    """

    scores: Float[Tensor, "layer d_mlp"]
    neurons: Float[Tensor, "layer d_mlp"]
    probability: float
    predicted: int


def attribute(
    network: Network, clozes: Sequence[Cloze], settings: AttributionSettings
) -> Iterator[tuple[int, Attribution]]:
    """Yield the index and the attribution of every prompt, grouped by length.

    Cost: per prompt one pass and `steps` forward and backward passes through the layers above each layer; a causal
    network runs one token in them, a masked one the whole prompt.
    Memory: of one group, which `settings.max_tokens` bounds whatever the number of prompts.
    """
    for group in network.groups(clozes, settings.steps, settings.max_tokens):
        clean = network.clean([clozes[index] for index in group])
        scores, neurons = _scores(network, clean, settings)
        predicted = clean.logits.argmax(-1).tolist()
        for place, index in enumerate(group):
            yield (
                index,
                Attribution(scores[place], neurons[place], float(clean.probabilities[place]), predicted[place]),
            )


def _scores(network: Network, clean: CleanRun, settings: AttributionSettings) -> tuple[Tensor, Tensor]:
    """Return integrated gradients and the neurons they belong to, both (prompt, layer, d_mlp)."""
    inner = settings.site == PREACTIVATION
    activate = network.activation() if inner else None
    ends = clean.preactivations if inner else clean.activations
    nodes, weights = (part.to(ends) for part in riemann(settings.steps, settings.grid))
    tokens = len(clean.clozes) * (network.tokens_per_copy or len(clean.clozes[0].ids))
    batch = max(1, settings.max_tokens // tokens)
    found = []
    for layer in range(network.n_layers):
        values = network.values(layer)

        def probability(points: Tensor, layer: int = layer, values: Tensor = values) -> Tensor:
            keys = points if activate is None else activate(points)
            change = (keys - clean.activations[:, layer]) @ values
            wanted = clean.answers[None, :, None].expand(len(points), -1, 1)
            return network.resume(clean, layer, change).softmax(-1).gather(2, wanted)

        end = ends[:, layer]
        found.append(end * path_gradient(probability, end, nodes, weights, batch))
    return torch.stack(found, 1), ends


def strongest(scores: Float[Tensor, "layer d_mlp"], floor: float = FLOOR) -> list[tuple[int, int, float]]:
    """Return layer, neuron and score of those that reach a share of the greatest score; enough for any threshold above.

    Where no score is positive there are none: a share of a negative number would choose the wrong end.
    """
    top = float(scores.max())
    if top <= 0:
        return []
    layers, neurons = (scores >= floor * top).nonzero(as_tuple=True)
    return list(zip(layers.tolist(), neurons.tolist(), scores[layers, neurons].tolist(), strict=True))
