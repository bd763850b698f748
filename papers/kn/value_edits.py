"""Changing what knowledge neurons write: their value vectors, the rows of the second feed-forward map (§4.4, §5).

Each change is a `WeightDelta` with one factor row per neuron, so it is applied, undone bit for bit and evaluated like
every other edit of this project.
"""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from papers.kn.network import Cloze, Network
from papers.kn.neurons import Neuron
from shared.edits.deltas import Edit, WeightDelta

Change = Callable[[Float[Tensor, "neuron d_model"]], Float[Tensor, "neuron d_model"]]


def value_edit(network: Network, neurons: Sequence[Neuron], change: Change, **info: float | int | str) -> Edit:
    """Return the edit that adds `change(values)` to the value vectors of some neurons.

    Args:
        neurons: layer and place of each; none twice.
        change: maps the chosen value vectors of one layer to what is added to them.
        info: numbers worth reporting.
    """
    by_layer: dict[int, list[int]] = {}
    for layer, place in neurons:
        by_layer.setdefault(layer, []).append(place)
    deltas = []
    for layer, places in sorted(by_layer.items()):
        values = network.values(layer)
        left = values.new_zeros(len(values), len(places))
        left[places, range(len(places))] = 1
        module = network.lm.arch.name_of(network.stack.mlp_out(layer))
        deltas.append(WeightDelta(module, left, change(values[places])))
    return Edit(tuple(deltas), {"neurons": len(neurons), **info})


def read_out(network: Network, cloze: Cloze, tokens: Sequence[int]) -> Float[Tensor, "token d_model"]:
    """Return, for each token, the direction in which the last layer's feed-forward output raises its score most.

    It is the gradient of the score at this prompt, and not from the paper: a head that transforms what it reads, as
    BERT's does, need not read a word's input embedding as that word.

    Cost: one forward pass, and one backward pass per token through the norm and the head.
    """
    clean = network.clean([cloze])
    change = clean.logits.new_zeros(1, 1, network.lm.arch.d_model).requires_grad_()
    scores = network.resume(clean, network.n_layers - 1, change)[0, 0]
    return torch.stack([torch.autograd.grad(scores[token], change, retain_graph=True)[0][0, 0] for token in tokens])


def update(
    network: Network,
    neurons: Sequence[Neuron],
    old: int,
    new: int,
    *,
    removed: float | int,
    added: float | int,
    words: Float[Tensor, "2 d_model"] | None = None,
) -> Edit:
    """Return the edit that writes a new tail in the place of the old one (§4.4.1).

        v ← v − λ₁ (‖v‖/‖e_old‖) e_old + λ₂ (‖v‖/‖e_new‖) e_new

    The norms' ratios are in the authors' code only; the paper's formula has none.

    Args:
        old, new: tokens whose input embeddings are e.
        removed, added: λ₁ and λ₂ (the authors' code: 1 and 8).
        words: other vectors of the old and the new tail than their embeddings.
    """
    before, after = network.lm.arch.embedding.weight[[old, new]] if words is None else words
    direction = added * after / after.norm() - removed * before / before.norm()
    return value_edit(network, neurons, lambda values: values.norm(dim=1, keepdim=True) * direction)


def erase(network: Network, neurons: Sequence[Neuron]) -> Edit:
    """Return the edit that sets the value vectors of some neurons to zero (§4.4.2)."""
    return value_edit(network, neurons, torch.neg)
