"""The paper's settings: complete, refused with a message where they are wrong, and turned into rules' parameters."""

import copy
import json
import shlex
from pathlib import Path
from types import SimpleNamespace

import pytest

from papers.memit.baselines import FtW
from papers.memit.hyperparams import MemitHyperparams
from papers.memit.plan import Plan
from shared.errors import ConfigError
from shared.settings import check_settings, read_yaml

FOLDER = Path(__file__).resolve().parent.parent
CONFIG = FOLDER / "config.yaml"
SCHEMA = FOLDER / "config.schema.yaml"
RUN = {
    "models": ["world-small", "world-large"],
    "device": "cpu",
    "dtype": "float32",
    "threads": 1,
    "seed": 0,
    "scale": "laptop",
    "gpus": 0,
    "data": ["counterfact.json", "facts.json", "attribute_snippets.json"],
}


@pytest.fixture
def config():
    return read_yaml(CONFIG)


@pytest.fixture
def plan(config):
    return Plan({**config, "run": RUN})


def changed(config, path, value):
    copied = copy.deepcopy(config)
    *parents, last = path
    holder = copied
    for key in parents:
        holder = holder[key]
    holder[last] = value
    return copied


def wild(**values):
    return SimpleNamespace(**{"model": "world-small", **values})


def test_the_settings_are_valid(config):
    check_settings(config, SCHEMA, [CONFIG])
    named = [config["items"][key] for key in ("second", "relations")]
    assert {*named, *config["items"]["scaling"], *config["items"]["mixed"]} <= set(config["runs"])
    for run in config["runs"].values():
        assert {own.get("search") or "main" for own in run["variants"].values()} <= set(config["searches"])
        assert run.get("arranged", "blocks_40") in config["arrangements"]


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("models", "gpt-j", "memit", "layr"), 3, "layr"),
        (("models", "gpt-j", "memit", "solver"), "lu", "'lu' is not one of"),
        (("editors", "rome", "update_weight"), 1, "update_weight"),
        (("runs", "zsre", "protocol"), "sequential", "'sequential' does not match"),
        (("runs", "records", "about"), "strangers", "'strangers' is not one of"),
        (("requests", "count"), 0, "less than the minimum"),
        (("searchs",), {}, "unknown key 'searchs'"),
    ],
)
def test_a_wrong_setting_is_named(config, path, value, message):
    with pytest.raises(ConfigError, match=message):
        check_settings(changed(config, path, value), SCHEMA, [CONFIG])


def test_every_models_settings_make_its_editors(config):
    for model in config["models"].values():
        MemitHyperparams(**config["editors"]["memit"] | model["memit"])
        FtW(**config["editors"]["ft_w"] | model["ft_w"])
        # One search for z serves all sets that end with the critical layers.
        ends = {layers[-1] for name, layers in model["layer_sets"].items() if name != "late"}
        assert ends == {model["memit"]["layers"][-1]}


def test_the_published_settings(config):
    gpt_j = MemitHyperparams(**config["editors"]["memit"] | config["models"]["gpt-j"]["memit"])
    assert (gpt_j.layers, gpt_j.update_weight, gpt_j.n_steps) == ((3, 4, 5, 6, 7, 8), 15_000, 25)
    assert (gpt_j.lr, gpt_j.weight_decay, gpt_j.clamp_norm_factor, gpt_j.kl_factor) == (0.5, 0.5, 0.75, 0.0625)
    xl = MemitHyperparams(**config["editors"]["memit"] | config["models"]["gpt2-xl"]["memit"])
    assert (xl.layers, xl.update_weight, xl.n_steps) == ((13, 14, 15, 16, 17), 20_000, 20)
    neox = MemitHyperparams(**config["editors"]["memit"] | config["models"]["gpt-neox-20b"]["memit"])
    assert (neox.layers, neox.update_weight, neox.clamp_norm_factor) == ((6, 7, 8, 9, 10), 20_000, 0.3)


def test_models_play_their_parts(config, plan):
    assert (plan.lead, plan.small) == ("world-large", ["world-small"])
    assert plan.table_2_records() == [
        "<results>/memit/world-large/scaling_1000/summary.csv",
        "<results>/memit/world-small/second/summary.csv",
    ]
    assert json.loads(plan.sizes())["sizes"] == [1, 10, 100, 1000]
    quick = Plan({**config, "max_cases": 4, "run": RUN})
    assert json.loads(quick.sizes())["sizes"] == [1, 4, 4, 4]
    alone = Plan({**config, "run": {**RUN, "models": ["gpt-j"], "scale": "paper"}})
    assert (alone.lead, alone.small) == ("gpt-j", [])
    assert json.loads(alone.comparison(["gpt-j"]))["exact"]


def test_cases_come_from_new_subjects_records_or_arrangements(config, plan):
    cases = "<results>/memit/world-small/cases"
    assert plan.case_file(wild(run="scaling_100")) == f"{cases}/new_subjects_counterfact.json"
    assert plan.case_file(wild(run="zsre")) == f"{cases}/new_subjects_zsre.json"
    assert plan.case_file(wild(run="records")) == f"{cases}/records_counterfact.json"
    assert plan.case_file(wild(run="blocks_100")) == f"{cases}/blocks_100.json"
    assert plan.index_file(wild(run="blocks_100")) == f"{cases}/blocks_100.csv"
    assert plan.protocol(wild(run="blocks_100")) == "batch:100"
    assert plan.protocol(wild(run="scaling_1")) == "single"
    options = shlex.split(plan.arrangement(wild(arrangement="blocks_100")))
    assert options[:3] == ["--size", "100", "--each-relation"]
    assert json.loads(options[4])[0] == ["P1303", "P641"]
    public = Plan({**config, "requests": {**config["requests"], "about": "records"}, "run": RUN})
    assert public.case_file(wild(run="scaling_100")) == f"{cases}/records_counterfact.json"


def test_variants_get_their_layers_targets_and_moments(plan):
    found = plan.edit_inputs(wild(run="ablations"))
    folder = "<results>/memit/world-small"
    assert found["attention"] == f"{folder}/attention_moments.safetensors"
    assert found["targets_late"] == [f"{folder}/targets/late/{shard}-of-2.safetensors" for shard in (1, 2)]

    class Files(dict):
        attention = "moments"

    made = json.loads(plan.variants(wild(run="ablations"), Files(targets_main=["a", "b"], targets_late=["c"])))
    assert made["layers_two"] == made["layers_one"] | {"layers": [2, 3]}
    assert made["layers_one"]["targets"] == ["a", "b"]
    assert made["attention_late"] | {"site": "mlp"} == made["layers_late"] | {"site": "mlp", "site_moments": "moments"}
    assert made["weight"]["layers"] == [1, 2, 3]
    assert plan.edit_inputs(wild(run="second")) == {}
    settings = json.loads(plan.search_settings(wild(search="late")))
    assert settings["layers"] == made["layers_late"]["layers"]
    assert plan.attention_options(wild()).startswith("--layers 0 1 2 3 5 6 7 ")
