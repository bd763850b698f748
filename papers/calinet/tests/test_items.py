"""Tables and figures from small files of assessments."""

import itertools
import json

import pandas as pd
import pytest
import yaml

from papers.calinet.items import figure_4, figure_7, table_1, table_2, table_3, table_4, table_5
from papers.calinet.items.results import perplexity
from papers.calinet.plan import FILES, Plan
from shared.provenance import REPOSITORY
from shared.settings import check_settings
from shared.tests.item_requests import request_from

ROOM = REPOSITORY / "papers/calinet"
MODELS = {
    "vanilla_small": {"method": "vanilla", "facts": 4},
    "calinet_small": {"method": "calinet", "facts": 4, "slots": 2},
    "layer_0": {"method": "calinet", "facts": 4, "slots": 2, "layer": 0},
}
SETTINGS = {
    "stands_for": {"ours": "t5-base"},
    "exact": False,
    "scale": "laptop",
    "calibrations": MODELS,
    "stand_for_facts": {"small": 100},
    "figure_4": {"facts": ["calinet_small"], "slots": ["calinet_small"], "layer": ["layer_0", "calinet_small"]},
}


def said():
    """Return four facts under three models; half of the unedited model's are false."""
    rows = []
    for model, number in itertools.product(MODELS, range(4)):
        false = number % 2 == 0 and model == "vanilla_small"
        told = {"prompt": f"fact {number} is", "gold": "a", "false": "b", "misstated": number % 2 == 0}
        scores = {"score": 0.5 if false else 2.0, "probability": 0.1, "rank": 2 if false else 1, "answer": "a"}
        losses = {"nll": 1.0 + number, "tokens": 1, "false_nll": 5.0, "false_tokens": 1}
        rows.append({"model": model, "fact": number, **told, **scores, **losses, "exact": not false, "overlap": 1.0})
    return pd.DataFrame(rows)


@pytest.fixture
def request_of(tmp_path):
    """Return a function that makes the request of an item."""

    def make(*frames):
        return request_from(tmp_path, frames, SETTINGS, ROOM / "reported.csv")

    return make


def test_the_main_table_counts_from_the_uncalibrated_model(request_of):
    texts = pd.DataFrame(
        [[name, text, 2.0, 2] for name in MODELS for text in range(3)], columns=["model", "text", "nll", "tokens"]
    )
    table = table_3.make(request_of(said(), texts)).frame
    own = table[table["model"] == "ours"].set_index(["method", "metric"])
    assert own.loc[("Vanilla, 100 facts", "false_rate"), "value"] == 50
    assert own.loc[("CaliNet, 100 facts", "false_rate"), "value"] == 0
    assert own.loc[("CaliNet, 100 facts", "language_modelling"), "value"] == pytest.approx(2.718, abs=1e-3)
    assert own.loc[("CaliNet, 100 facts", "false_rate"), "status"] in {"SAME_DIRECTION", "UNRESOLVED"}
    assert own.loc[("C.P., 100 facts", "false_rate"), "status"] == "NOT_RUN"


def test_listings_and_figures(request_of):
    assert len(table_1.make(request_of(said())).frame) == 4
    judged = table_2.make(request_of(said()))
    assert any("marks 100.0 %" in note for note in judged.notes)
    assert set(judged.frame["by contrast"]) == {"false", "known"}
    words = pd.DataFrame(
        [["m", kind, 0, 0.5, "a b"] for kind in ("trained", "untrained")],
        columns=["model", "kind", "slot", "share", "tokens"],
    )
    assert list(table_5.make(request_of(words)).frame.columns) == ["kind", "slot", "share", "tokens"]
    drawing = figure_4.make(request_of(said()))
    assert drawing.data[drawing.data["panel"] == "layer"]["x"].unique().tolist() == ["0", "last"]
    moved = pd.DataFrame({"model": "m", "slots": [0, 2], "right": [0.1, 0.9], "false": [0.8, 0.1], "n": 4})
    assert len(figure_7.make(request_of(moved)).data) == 2


def test_questions_are_counted_by_what_was_calibrated(request_of):
    rows = [
        {"model": model, "fact": fact, "related": fact < 2, "exact": model == "calinet" or fact == 3, "overlap": 0.5}
        for model, fact in itertools.product(("vanilla", "calinet"), range(4))
    ]
    table = table_4.make(request_of(pd.DataFrame(rows))).frame.set_index(["method", "metric"])["value"]
    assert table["Vanilla", "exact_match_related"] == 0
    assert table["Vanilla", "exact_match_rest"] == 50
    assert table["CaliNet", "exact_match_related"] == 100
    assert table["CaliNet", "overlap_rest"] == 50
    assert "C.P." not in table.index.get_level_values(0)


def test_perplexities():
    found = perplexity(pd.Series([1.0, 3.0]), pd.Series([1, 1]))
    assert found.mean == pytest.approx(2.718281828**2)
    assert found.low <= found.mean <= found.high


def test_the_settings_are_valid_and_every_item_has_files():
    own = yaml.safe_load((ROOM / "config.yaml").read_text())
    check_settings(own, ROOM / "config.schema.yaml", ["config.yaml"])
    run = {"gpus": 0, "seed": 0, "dtype": "float32", "device": "cpu", "scale": "laptop"}
    plan = Plan(own | {"run": run})
    assert set(own["assessed"]) == set(own["calibrations"])
    assert set(plan.results()) >= {file for files in FILES.values() for file in files}
    assert plan.models("table_3") == plan.networks * 2
    assert set(json.loads(plan.settings())["calibrations"]) == set(own["assessed"])
    assert {name for names in own["figure_4"].values() for name in names} <= set(own["calibrations"])
