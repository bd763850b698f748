"""The paper's settings: complete, refused with a message where they are wrong, and handed on."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from papers.kn.neurons import Sharing
from papers.kn.plan import Plan
from shared.errors import ConfigError
from shared.settings import check_settings, read_yaml

FOLDER = Path(__file__).resolve().parent.parent
CONFIG, SCHEMA = FOLDER / "config.yaml", FOLDER / "config.schema.yaml"
RUN = {"device": "cpu", "dtype": "float32", "threads": 1, "seed": 3, "scale": "laptop", "gpus": 0}


def planned(**changes):
    return Plan({**read_yaml(CONFIG), "run": RUN, **changes})


def test_the_settings_are_valid():
    config = read_yaml(CONFIG)
    check_settings(config, SCHEMA, [CONFIG])
    for own in config["sharing"].values():
        Sharing(**own)
    assert set(config["use"]) <= set(config["networks"])


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("attribution", {"steps": 20, "grid": "middle"}, "attribution.grid"),
        ("max_fact", 3, "unknown key 'max_fact'"),
        ("min_patterns", 0, "min_patterns: 0 is less than the minimum"),
    ],
)
def test_faulty_settings_are_explained(key, value, message):
    with pytest.raises(ConfigError, match=message):
        check_settings({**read_yaml(CONFIG), key: value}, SCHEMA, [CONFIG])


def test_the_plan_hands_settings_on():
    plan = planned(max_facts=7, max_relations=None, shards=2)
    files = SimpleNamespace(card="m/card.json", patterns="p.jsonl", facts="t.jsonl")
    options = plan.common(SimpleNamespace(model="world-masked"), files)
    assert "--model m --kind masked --patterns p.jsonl --facts t.jsonl" in options
    assert "--max-facts 7" in options
    assert "--max-relations" not in options
    assert "--seed 3" in options
    assert plan.shards == ["1-of-2", "2-of-2"]
    assert json.loads(plan.comparison())["stands_for"] == {"world-masked": "bert-base-cased"}
    assert "--removed 1 --added 8" in plan.rewriting()


def test_items_without_sentences_are_left_out():
    about_text = {"table_3", "table_4", "figure_6"}
    files = {"patterns": "p", "facts": "f", "sentences": None}
    assert about_text < set(planned().made())
    assert planned(use=[]).made() == []
    assert set(planned(files=files).made()) == set(planned().made()) - about_text


def test_every_item_with_a_script_is_made_once():
    scripts = {file.stem for kind in ("table", "figure") for file in (FOLDER / "items").glob(f"{kind}_*.py")}
    assert sorted(planned().made()) == sorted(scripts)


def test_listings_and_figures_show_the_first_model():
    plan = planned(use=["world-masked", "world-small"])
    files = {"patterns": "p", "facts": "f", "neurons": ["a", "b"], "changes": ["c", "d"]}
    made_from = json.loads(plan.item_groups()["make_neuron_items"].sources()(None, files))
    assert made_from["table_1"] == {"models": ["patterns", "facts"], "inputs": ["p", "f"]}
    assert made_from["table_2"] == {"models": ["world-masked", "world-small"], "inputs": ["a", "b"]}
    assert made_from["figure_4"] == {"models": ["world-masked"], "inputs": ["c"]}
