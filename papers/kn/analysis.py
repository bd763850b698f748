"""From records per fact to the paper's numbers, each with its interval: ratios of means, intersections, layers.

Facts are what is resampled. Reads records only and loads no model.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from papers.kn.neurons import Neuron
from shared.measures.intervals import Interval, bootstrap_means, percentile_bounds
from shared.records import read_json
from shared.seeding import seed_for

PERCENT = 100
OTHER_FACTS = 100


def ratio_draws(numerator: np.ndarray, denominator: np.ndarray, seed: int = 0) -> np.ndarray:
    """Return bootstrap draws of Σ numerator / Σ denominator over cases."""
    draws = bootstrap_means(np.stack([numerator, denominator], 1), seed=seed)
    return np.divide(draws[:, 0], draws[:, 1], out=np.full(len(draws), np.nan), where=draws[:, 1] != 0)


def ratio_interval(numerator: np.ndarray, denominator: np.ndarray, seed: int = 0) -> Interval:
    """Return Σ numerator / Σ denominator over cases with its 95 % interval."""
    low, high = percentile_bounds(ratio_draws(numerator, denominator, seed))
    return Interval(float(numerator.sum() / denominator.sum()), low, high, len(numerator))


def _change(facts: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    weights = facts["prompts"].to_numpy()
    before = weights * facts["before"].to_numpy()
    return PERCENT * (weights * facts["after"].to_numpy() - before), before


def change_by_relation(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the change of the answers' probability in percent, by set, change and relation (§4.3).

    A relation's change is a ratio of means over its prompts, not a mean of ratios.

    Args:
        frame: of `papers.kn.modify_facts`.
    """
    rows = []
    for (name, change, relation), facts in frame.groupby(["set", "change", "relation"], sort=False):
        found = ratio_interval(*_change(facts))
        rows.append([name, change, relation, found.mean, found.low, found.high, found.n])
    return pd.DataFrame(rows, columns=["set", "change", "relation", "value", "low", "high", "n"])


def mean_change(facts: pd.DataFrame) -> Interval:
    """Return the mean over relations of their changes in percent, facts resampled within relations.

    Args:
        facts: rows of one set and one change.
    """
    by_relation = [own for _, own in facts.groupby("relation", sort=False)]
    draws = np.mean([ratio_draws(*_change(own), seed=seed_for(own["relation"].iloc[0])) for own in by_relation], axis=0)
    totals = [np.sum(top) / np.sum(bottom) for top, bottom in map(_change, by_relation)]
    return Interval(float(np.mean(totals)), *percentile_bounds(draws), len(facts))


Facts = Mapping[str, Sequence[set[Neuron]]]


def read_sets(path: str | Path, method: str) -> dict[str, list[set[Neuron]]]:
    """Return one method's neurons of `neurons.json`: relation → a set for each fact."""
    found = read_json(path)["methods"][method]
    return {name: [{tuple(pair) for pair in one} for one in own["facts"].values()] for name, own in found.items()}


def sizes(facts: Facts) -> Interval:
    """Return the number of neurons of a fact."""
    counts = np.array([len(one) for own in facts.values() for one in own], float)
    return ratio_interval(counts, np.ones(len(counts)))


def intersections(facts: Facts, *, seed: int = 0, others: int = OTHER_FACTS) -> dict[str, Interval]:
    """Return how many neurons two facts share, of one relation (`intra`) and of different ones (`inter`).

    Args:
        facts: relation → a set of neurons for each fact.
        others: facts of other relations that each fact is compared with, drawn at random.

    Within a relation all pairs count, pooled over relations.
    """
    intra, pairs, inter = [], [], []
    rng = np.random.default_rng(seed_for("kn", "intersections", seed))
    for relation, own in facts.items():
        elsewhere = [one for name, sets in facts.items() if name != relation for one in sets]
        for place, one in enumerate(own):
            intra.append(sum(len(one & other) for at, other in enumerate(own) if at != place))
            pairs.append(len(own) - 1)
            if elsewhere:
                drawn = rng.integers(0, len(elsewhere), others)
                inter.append(np.mean([len(one & elsewhere[at]) for at in drawn]))
    found = {"intra": ratio_interval(np.array(intra, float), np.array(pairs, float))}
    return found | ({"inter": ratio_interval(np.array(inter), np.ones(len(inter)))} if inter else {})


def layers(facts: Facts, count: int) -> pd.DataFrame:
    """Return the share of all facts' neurons that lie in each layer, in percent; layers are counted from 1."""
    per_fact = np.zeros((sum(map(len, facts.values())), count))
    for place, one in enumerate(one for own in facts.values() for one in own):
        for layer, _ in one:
            per_fact[place, layer] += 1
    rows, totals = [], per_fact.sum(1)
    for layer in range(count):
        found = ratio_interval(PERCENT * per_fact[:, layer], totals)
        rows.append([layer + 1, found.mean, found.low, found.high, found.n])
    return pd.DataFrame(rows, columns=["layer", "value", "low", "high", "n"])


def perplexity_change(before: np.ndarray, after: np.ndarray) -> Interval:
    """Return exp(mean after) − exp(mean before) of negative log-probabilities over edits."""
    draws = np.exp(bootstrap_means(np.stack([before, after], 1)))
    low, high = percentile_bounds(draws[:, 1] - draws[:, 0])
    return Interval(float(np.exp(after.mean()) - np.exp(before.mean())), low, high, len(before))
