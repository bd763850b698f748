"""Sets of neurons to compare a fact's own with: equally many random ones, and those of a fact of another relation."""

import random
from collections.abc import Mapping, Sequence

from papers.kn.neurons import Neuron
from shared.seeding import seed_for

Sets = Mapping[str, Mapping[int, Sequence[Neuron]]]


def random_neurons(count: int, shape: tuple[int, int], *seed: str | int) -> list[Neuron]:
    """Return so many different neurons, drawn evenly from all layers.

    Args:
        shape: layers, and neurons of a layer.
        seed: parts of the draw's seed.
    """
    layers, width = shape
    drawn = random.Random(seed_for(*seed)).sample(range(layers * width), min(count, layers * width))
    return [divmod(place, width) for place in drawn]


def other_fact(sets: Sets, relation: str, *seed: str | int) -> Sequence[Neuron]:
    """Return the neurons of a random fact of another relation; none where there is no other relation."""
    others = [
        neurons for name, facts in sorted(sets.items()) if name != relation for _, neurons in sorted(facts.items())
    ]
    return random.Random(seed_for(*seed)).choice(others) if others else []
