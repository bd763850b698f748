"""Coarse and refined neurons, the share that adapts, and sets over facts."""

import pytest

from papers.kn.neurons import Sharing, coarse, common, most_frequent, own, refine, share_neurons
from shared.errors import ConfigError

SCORED = [(0, 1, 1.0), (0, 2, 0.2), (1, 0, 0.1)]


def test_coarse_keeps_the_share_and_strictly_more():
    assert coarse(SCORED, 0.2) == [(0, 1), (0, 2)]
    assert coarse(SCORED, 0.2, strict=True) == [(0, 1)]
    assert coarse([], 0.2) == []


def test_refined_neurons_need_a_share_of_the_prompts_and_three():
    prompts = [[(0, 1), (0, 2)]] * 7 + [[(0, 1)]] * 3
    assert refine(prompts, 0.7, 3) == [(0, 1), (0, 2)]
    assert refine(prompts, 0.75, 3) == [(0, 1)]
    assert refine([[(0, 1)]] * 2, 0.1, 3) == []
    # Four prompts: three must agree however small the share becomes.
    assert refine([[(0, 1)]] * 3 + [[]], 0.4, 3) == [(0, 1)]


def bags(per_fact, shared_in):
    """Return ten prompts in which each of `per_fact` neurons is coarse `shared_in` times."""
    prompts = [[(0, neuron, 1.0) for neuron in range(per_fact)] for _ in range(shared_in)]
    return {"one": prompts + [[(9, other, 1.0)] for other in range(10 - shared_in)]}


def test_the_share_adapts_until_two_to_five_neurons_are_left():
    assert share_neurons(bags(3, 7), Sharing()).share == 0.7
    fewer = share_neurons(bags(3, 5), Sharing())
    assert (fewer.share, fewer.average) == (0.5, 3)
    # Six rounds end at 0.45, where four of ten prompts are still too few.
    assert (share_neurons(bags(3, 4), Sharing()).share, share_neurons(bags(3, 4), Sharing()).average) == (0.45, 0)
    more = share_neurons(bags(9, 8), Sharing())
    assert (more.share, more.average) == (0.85, 0)


def test_sets_over_facts():
    facts = {"a": [(0, 1), (0, 2)], "b": [(0, 1)], "c": [(0, 1), (3, 3)]}
    assert common(facts, 0.5) == [(0, 1)]
    assert most_frequent(facts, 2) == [(0, 1), (0, 2)]
    assert own(facts["a"], facts, 0.4) == [(0, 2)]
    assert own(facts["a"], facts, 0.1) == [], "the fact itself is more than a tenth of three"


def test_a_threshold_below_what_is_stored_is_refused():
    with pytest.raises(ConfigError, match="threshold is 0.05"):
        Sharing(threshold=0.05)
