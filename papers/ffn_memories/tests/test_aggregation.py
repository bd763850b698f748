"""Breakdowns add up, events are where they are said to be, and exits follow the rule."""

import numpy as np
import pytest
import torch

from papers.ffn_memories.aggregate import aggregate
from papers.ffn_memories.aggregation import (
    BREAKDOWN,
    Values,
    at,
    classify,
    find_events,
    layer_lines,
    sub_update_scores,
)
from papers.ffn_memories.annotation import coverage, frequencies, patterns
from papers.ffn_memories.early_exit import cluster_values, leave, matches
from papers.ffn_memories.projection import project
from papers.ffn_memories.states import passes
from papers.ffn_memories.tests.book import SENTENCES
from shared.model.tokens import encode
from shared.tests.tiny import tiny_lm


@pytest.fixture(scope="module")
def seen():
    lm = tiny_lm("gpt2", layers=5)
    found = next(passes(lm, [encode(lm, text) for text in SENTENCES], 4096))
    lengths = found.valid.sum(1)
    return lm, at(found, lengths - 2)


def test_the_four_kinds_of_output_add_up():
    residual, ffn, output = (torch.tensor(own) for own in ([1, 2, 3, 4], [5, 1, 3, 4], [1, 1, 3, 9]))
    found = classify(residual, ffn, output)
    assert {name: own.tolist().index(True) for name, own in found.items()} == dict(
        zip(BREAKDOWN, range(4), strict=True)
    )
    assert torch.stack(list(found.values())).sum(0).tolist() == [1, 1, 1, 1]


def test_lines_of_layers(seen):
    lm, places = seen
    values = Values.of(lm, "plain")
    for layer, found in layer_lines(lm, places, values, "plain"):
        assert torch.stack([found[name] for name in BREAKDOWN]).sum(0).tolist() == [1] * len(SENTENCES)
        assert not found["broken"].any(), "without a norm, a sum of two vectors with one best token has it too"
        top = project(lm, places.mlp[layer], "plain").argmax(-1)
        for row in range(len(SENTENCES)):
            agrees = [key for key, token in enumerate(values.top[layer].tolist()) if token == int(top[row])]
            active = [key for key in agrees if places.keys[layer][row, key] > 0]
            assert bool(found["zero_agreement"][row]) == (not agrees)
            assert bool(found["zero_agreement_active"][row]) == (not active)
        assert ((found["dominant"] > 10 / lm.arch.d_mlp) & (found["dominant"] <= 1)).all()


def test_events(seen):
    lm, places = seen
    found = find_events(lm, places, "normed")
    tops = torch.stack([project(lm, one, "normed").argmax(-1) for one in places.after], 1)
    for row, own in enumerate(tops.tolist()):
        settled = max((layer + 1 for layer, token in enumerate(own) if token != own[-1]), default=0)
        assert int(found.settled[row]) == settled
        assert int(found.token[row]) == own[-1]
        assert int(found.saturation[row]) in {-1, settled}
    assert (found.elimination >= 0).any()


def test_scores_of_sub_updates_add_up_to_the_layers(seen):
    lm, places = seen
    values = Values.of(lm, "plain")
    layers, tokens = torch.tensor([1] + [-1] * 5), torch.tensor([7] * 6)
    [dominant, _] = sub_update_scores(lm, places, values, layers, tokens, seed=0)
    scores = places.keys[1][0] * (values.vectors[1] @ lm.arch.unembedding.weight[7])
    total = (places.mlp[1][0] - lm.arch.mlp_out(1).bias) @ lm.arch.unembedding.weight[7]
    assert float(scores.sum()) == pytest.approx(float(total), abs=1e-3)
    best = (places.keys[1][0].abs() * values.norms[1]).topk(10).indices
    assert dominant["max"] == pytest.approx(float(scores[best].max()), abs=1e-5)
    assert dominant["mean"] == pytest.approx(float(scores[best].mean()), abs=1e-5)


def test_batches_change_nothing():
    lm = tiny_lm("gpt2", layers=5)
    sequences = [encode(lm, text) for text in SENTENCES]
    one, other = (aggregate(lm, sequences, "normed", 0, size)[0] for size in (1, 4096))
    keys = ["layer", "metric"]
    merged = one.merge(other, on=keys)
    np.testing.assert_allclose(merged["value_x"], merged["value_y"], atol=1e-5)


def test_matches_count_equal_places():
    assert matches(np.array([[1, 2, 3]]), np.array([[1, 9, 3], [3, 2, 1]])).tolist() == [[2, 1]]


def test_a_sentence_leaves_where_it_matches_those_that_settle_there():
    # Two training sentences settle at layer 0 and at layer 2, with clusters 0 and 1 everywhere.
    train = np.array([[[0, 0], [1, 1]]] * 3)
    test = np.array([[[0, 0], [1, 1], [0, 1]]] * 3)
    assert leave(test, train, np.array([0, 2])).tolist() == [0, 2, 2]
    assert leave(test, train, np.array([2, 2])).tolist() == [2, 2, 2]


def test_clusters_hold_parallel_values():
    lm = tiny_lm("gpt2")
    found = cluster_values(lm, "plain", 20)
    assert found.shape == (3, lm.arch.d_mlp)
    assert len(np.unique(found)) == 20


def test_patterns_have_to_be_more_than_usual():
    examples = [{"last token": "in", "relation": "P19"}] * 3 + [{"last token": "a", "relation": "P19"}] * 2
    usual = frequencies([{"last token": "in"}] + [{"relation": "P19"}] * 9)
    found = patterns(examples, usual)
    assert [(one.kind, one.value, one.count) for one in found] == [("last token", "in", 3)]
    assert coverage(examples, found) == {"shallow": 0.6, "both": 0, "semantic": 0, "not covered": 0.4}
    assert coverage(examples, patterns(examples, {})) == {"shallow": 0, "both": 0.6, "semantic": 0.4, "not covered": 0}
