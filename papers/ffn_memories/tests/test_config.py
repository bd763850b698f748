"""The papers' settings: complete, refused with a message where they are wrong, and handed on."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from papers.ffn_memories import __main__ as command
from papers.ffn_memories.plan import Plan
from papers.ffn_memories.tests.book import SENTENCES
from shared.errors import ConfigError
from shared.provenance import REPOSITORY
from shared.settings import check_settings, read_yaml

FOLDER = Path(__file__).resolve().parent.parent
CONFIG, SCHEMA = FOLDER / "config.yaml", FOLDER / "config.schema.yaml"
RUN = {"device": "cpu", "dtype": "float32", "threads": 1, "seed": 3, "scale": "laptop", "gpus": 0}
MODEL = str(REPOSITORY / "tests/golden/model")


def test_the_settings_are_valid():
    config = read_yaml(CONFIG)
    check_settings(config, SCHEMA, [CONFIG])
    assert config["use"] in config["networks"]


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("projection", "tuned", "projection: 'tuned' is not one of"),
        ("sentense", 3, "unknown key 'sentense'"),
        ("early_exit", {"clusters": 200, "test_share": 0.9}, "early_exit.test_share"),
    ],
)
def test_faulty_settings_are_explained(key, value, message):
    with pytest.raises(ConfigError, match=message):
        check_settings({**read_yaml(CONFIG), key: value}, SCHEMA, [CONFIG])


def test_the_plan_hands_settings_on():
    plan = Plan({**read_yaml(CONFIG), "run": RUN})
    files = SimpleNamespace(card="m/card.json", corpus="c.txt", facts="f.json")
    sizes = read_yaml(CONFIG)["sentences"]
    assert f"--sentences {sizes['layers']} --skip {sizes['triggers']} " in plan.common("layers")(None, files)
    assert "--skip 0 " in plan.common("triggers")(None, files)
    assert "--unwanted profession --wanted instrument" in plan.control
    assert json.loads(plan.comparison("b"))["stands_for"] == {"world-small": "gpt2"}
    assert json.loads(plan.comparison("b"))["stands_for_first"] == {"world-small": "wikilm"}


def test_text_without_a_book_of_facts_leaves_out_what_is_about_classes():
    whole, own = (Plan({**read_yaml(CONFIG), "run": RUN, "facts": known}) for known in (True, False))
    about_classes = {"table_b1", "figure_b2", "table_b5"}
    assert set(whole.items("b")) - set(own.items("b")) == about_classes
    assert own.items("a") == whole.items("a")
    assert own.corpus() == {"corpus": "<results>/data/corpus.txt"}
    assert "--facts" not in own.common("layers")(None, SimpleNamespace(card="m/card.json", corpus="c.txt"))
    group = own.item_groups()["make_items_of_2022"]
    assert not {"concepts", "control"} & set(group.files)
    made_from = json.loads(group.sources()(None, {"events": "e.csv", "early_exit": "x.csv"}))
    assert "table_b4" in own.items("b")
    assert "table_b4" not in Plan({**read_yaml(CONFIG), "run": RUN, "early_exit": None}).items("b")
    assert made_from["figure_b3"] == {"models": ["world-small"], "inputs": ["e.csv"]}


def test_command_line(tmp_path, capsys):
    assert command.main(["values", "--model", MODEL, "--layer", "2", "--show", "4", "--tokens", "3"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert len(shown) == 4
    assert all(line.startswith("layer 2 value") for line in shown)
    assert command.main(["values", "--model", MODEL, "--layer", "2", "--keys", "9999"]) == 1
    assert "keys 0 to 511" in capsys.readouterr().err
    assert command.main(["values", "--model", MODEL, "--layer", "77"]) == 1
    assert "layer 77 does not exist" in capsys.readouterr().err
    corpus = tmp_path / "c.txt"
    corpus.write_text("\n".join(SENTENCES))
    asked = ["triggers", "--model", MODEL, "--layer", "1", "--keys", "5", "--corpus", str(corpus), "--top", "2"]
    assert command.main(asked) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3
    assert command.main(["updates", "--model", MODEL, "--prompt", "Fes Seisax is", "--dominant", "2"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 6 * 3
