"""Numbers of the tables, by hand."""

import json

import numpy as np
import pandas as pd
import pytest

from papers.kn.analysis import (
    change_by_relation,
    intersections,
    layers,
    mean_change,
    perplexity_change,
    ratio_interval,
    read_sets,
    sizes,
)
from papers.kn.neurons import Sharing
from papers.kn.select_neurons import read_neurons, select
from shared.errors import DataError

FACTS = {"a": [{(0, 1), (1, 2)}, {(0, 1)}, {(0, 1), (1, 3)}], "b": [{(1, 3)}, set()]}


def changes():
    rows = [["P1", 0, 2, 0.5, 0.25], ["P1", 1, 4, 0.1, 0.1], ["P2", 0, 3, 0.8, 0.4]]
    frame = pd.DataFrame(rows, columns=["relation", "line", "prompts", "before", "after"])
    return frame.assign(set="ig", change="suppress")


def test_changes_are_ratios_of_means_over_prompts():
    found = change_by_relation(changes()).set_index("relation")["value"]
    assert found["P1"] == pytest.approx(100 * (0.5 + 0.4 - 1.4) / 1.4)
    assert found["P2"] == pytest.approx(-50)
    mean = mean_change(changes())
    assert mean.mean == pytest.approx(found.mean())
    assert mean.low <= mean.mean <= mean.high
    assert mean.n == 3


def test_intersections():
    found = intersections(FACTS, others=2000)
    # Pairs of a: 1, 1, 1; of b: 0. Each pair counts from both sides.
    assert found["intra"].mean == pytest.approx(3 / 4)
    # Facts of a against b: 0, 0, 1/2; of b against a: 1/3, 0.
    assert found["inter"].mean == pytest.approx((0.5 + 1 / 3) / 5, abs=0.01)
    assert sizes(FACTS).mean == pytest.approx(6 / 5)
    assert "inter" not in intersections({"a": FACTS["a"]})


def test_layers():
    frame = layers(FACTS, 3)
    assert frame["layer"].tolist() == [1, 2, 3]
    assert frame["value"].tolist() == pytest.approx([50, 50, 0])


def test_perplexities():
    found = perplexity_change(np.array([1.0, 3.0]), np.array([2.0, 4.0]))
    assert found.mean == pytest.approx(np.exp(3) - np.exp(2))
    assert ratio_interval(np.array([1.0, 3.0]), np.ones(2)).mean == 2


def test_selection_writes_what_the_analysis_reads(tmp_path):
    def line(fact, neurons, correct=True):
        scored = [[*pair, 1.0] for pair in neurons]
        return {
            "relation": "P1",
            "line": fact,
            "shape": [2, 4],
            "correct": correct,
            "ig": scored,
            "activation": scored[:1],
        }

    lines = [line(0, [(0, 1), (0, 2), (1, 3)])] * 4 + [line(10, [(0, 1), (1, 1)], False)] * 4
    found = select(lines, {"ig": Sharing(), "activation": Sharing(threshold=0.5)})
    assert found["prompts"]["P1"] == {"0": [4, 4], "10": [4, 0]}
    path = tmp_path / "neurons.json"
    path.write_text(json.dumps(found))
    assert read_neurons(path, "ig")["P1"] == {0: [(0, 1), (0, 2), (1, 3)], 10: [(0, 1), (1, 1)]}
    assert read_sets(path, "ig")["P1"] == [{(0, 1), (0, 2), (1, 3)}, {(0, 1), (1, 1)}]
    with pytest.raises(DataError, match="no attributions"):
        select([], {"ig": Sharing()})
