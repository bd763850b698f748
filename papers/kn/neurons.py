"""Which neurons are knowledge neurons: those that score high in most prompts of a fact (§3.2).

A prompt's *coarse* neurons score at least a share of the prompt's greatest score. A fact's *refined* neurons are coarse
in enough of its prompts; how many is enough is one share for all facts of a relation, moved until they have two to five
neurons on average. Plain Python on stored scores, so thresholds are swept without a model.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.errors import ConfigError

Neuron = tuple[int, int]
Scored = Sequence[Sequence[int | float]]
FLOOR = 0.1


@dataclass(frozen=True)
class Sharing:
    """How coarse neurons become refined ones.

    Attributes:
        threshold: share t of a prompt's greatest score, at least FLOOR (lower scores are not stored).
        share: share p of a fact's prompts at the start.
        at_least: prompts in which a neuron must be coarse, whatever p is (the authors' code: 3).
        low, high: average number of neurons of a fact between which p stays.
        step: change of p.
        rounds: how often p may be tried.
    """

    threshold: float = 0.2
    share: float = 0.7
    at_least: int = 3
    low: float | int = 2
    high: float | int = 5
    step: float = 0.05
    rounds: int = 6

    def __post_init__(self) -> None:
        if not FLOOR <= self.threshold <= 1:
            raise ConfigError(f"threshold is {self.threshold}, expected a share between {FLOOR} and 1")


@dataclass(frozen=True)
class RelationNeurons:
    """Neurons of one relation.

    Attributes:
        share: the share p that was settled on.
        facts: refined neurons by fact.
    """

    share: float
    facts: dict[str, list[Neuron]]

    @property
    def average(self) -> float:
        """Average number of neurons of a fact."""
        return sum(map(len, self.facts.values())) / len(self.facts)


def coarse(scored: Scored, threshold: float, *, strict: bool = False) -> list[Neuron]:
    """Return the neurons that score at least (`strict`: more than) a share of the greatest score."""
    if not scored:
        return []
    bar = threshold * max(score for _, _, score in scored)
    return [(layer, neuron) for layer, neuron, score in scored if (score > bar if strict else score >= bar)]


def refine(prompts: Sequence[Iterable[Neuron]], share: float, at_least: int) -> list[Neuron]:
    """Return the neurons that are coarse in at least a share of the prompts, and in at least so many, in order."""
    counts = Counter(neuron for prompt in prompts for neuron in set(prompt))
    # A share such as 0.7 · 10 is a little more than 7 in floating point.
    enough = max(share * len(prompts) - 1e-9, at_least)
    return sorted(neuron for neuron, count in counts.items() if count >= enough)


def share_neurons(bags: Mapping[str, Sequence[Scored]], how: Sharing) -> RelationNeurons:
    """Return the refined neurons of all facts of a relation, under one share of prompts.

    Args:
        bags: fact → the stored scores of each of its prompts.
    """
    kept = {fact: [coarse(scored, how.threshold) for scored in prompts] for fact, prompts in bags.items()}
    share, found = how.share, RelationNeurons(how.share, {})
    for _ in range(how.rounds):
        found = RelationNeurons(
            round(share, 6), {fact: refine(prompts, share, how.at_least) for fact, prompts in kept.items()}
        )
        if found.average < how.low:
            share -= how.step
        elif found.average > how.high:
            share += how.step
        else:
            break
    return found


def common(facts: Mapping[Any, Sequence[Neuron]], share: float) -> list[Neuron]:
    """Return the neurons that occur in at least a share of the facts' sets (a relation's own neurons), in order."""
    counts = Counter(neuron for neurons in facts.values() for neuron in neurons)
    return sorted(neuron for neuron, count in counts.items() if count >= share * len(facts))


def most_frequent(facts: Mapping[Any, Sequence[Neuron]], count: int) -> list[Neuron]:
    """Return the neurons that occur in most facts' sets; of equally frequent ones the lowest come first."""
    counts = Counter(neuron for neurons in facts.values() for neuron in neurons)
    return [neuron for neuron, _ in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))][:count]


def own(neurons: Sequence[Neuron], facts: Mapping[Any, Sequence[Neuron]], share: float) -> list[Neuron]:
    """Return a fact's neurons without those that more than a share of the relation's facts have (§4.4.1).

    The fact itself counts among them, so with fewer than 1/share facts nothing is left.
    """
    counts = Counter(neuron for others in facts.values() for neuron in others)
    return [neuron for neuron in neurons if counts[neuron] <= share * len(facts)]
