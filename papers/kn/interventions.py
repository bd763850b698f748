"""Suppressing and amplifying neurons at the answer's place, many changes of many prompts at once (§4.3)."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from papers.kn.network import ACTIVATION, Cloze, Network
from papers.kn.neurons import Neuron

MAX_TOKENS = 4096


def factors_of(
    network: Network, sets: Sequence[Sequence[Sequence[Neuron]]], factors: Sequence[float]
) -> Float[Tensor, "copy prompt layer d_mlp"]:
    """Return what each activation is multiplied by: a copy for each factor and set of neurons, factors outermost.

    Args:
        sets: per prompt, the sets of neurons; equally many for all prompts.
    """
    copies = len(sets[0])
    made = torch.ones(len(factors), copies, len(sets), network.n_layers, network.d_mlp, device=network.lm.device)
    for prompt, own in enumerate(sets):
        for copy, neurons in enumerate(own):
            if neurons:
                layers, places = zip(*neurons, strict=True)
                for number, factor in enumerate(factors):
                    made[number, copy, prompt, list(layers), list(places)] = float(factor)
    return made.flatten(0, 1)


def scaled_logits(
    network: Network,
    clozes: Sequence[Cloze],
    sets: Sequence[Sequence[Sequence[Neuron]]],
    factors: Sequence[float],
    *,
    site: str = ACTIVATION,
    max_tokens: int = MAX_TOKENS,
):
    """Yield, for groups of prompts, their indices, the unchanged predictions and those of every copy.

    Args:
        clozes: the prompts.
        sets: per prompt, the sets of neurons that are changed together; equally many for all prompts.
        factors: what the neurons' activations are multiplied by; 0 suppresses, 2 amplifies.
        site: whether neurons are changed after the nonlinearity or before it.
        max_tokens: tokens of one forward pass.
    """
    copies = len(factors) * len(sets[0])
    for group in network.groups(clozes, copies, max_tokens):
        clean = network.clean([clozes[index] for index in group])
        changed = network.scaled(clean, factors_of(network, [sets[index] for index in group], factors), site)
        yield group, clean, changed


def scaled_probabilities(
    network: Network,
    clozes: Sequence[Cloze],
    sets: Sequence[Sequence[Sequence[Neuron]]],
    factors: Sequence[float],
    *,
    site: str = ACTIVATION,
    max_tokens: int = MAX_TOKENS,
) -> Float[Tensor, "prompt copy"]:
    """Return each answer's probability for each factor and set of neurons, factors outermost.

    Cost: one pass over the prompts, and one per copy; a causal network recomputes the last token only.
    """
    found = torch.empty(len(clozes), len(factors) * len(sets[0]))
    for group, clean, changed in scaled_logits(network, clozes, sets, factors, site=site, max_tokens=max_tokens):
        wanted = clean.answers[None, :, None].expand(len(changed), -1, 1)
        found[group] = changed.softmax(-1).gather(2, wanted)[:, :, 0].T.cpu()
    return found
