"""The paper's settings: complete, and refused with a message where they are wrong."""

import copy
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from papers.rome.plan import Plan
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


def changed(config, path, value):
    copied = copy.deepcopy(config)
    *parents, last = path
    holder = copied
    for key in parents:
        holder = holder[key]
    holder[last] = value
    return copied


def test_the_settings_are_valid(config):
    check_settings(config, SCHEMA, [CONFIG])


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("models", "gpt2-xl", "rome", "layr"), 3, "unknown key 'models.gpt2-xl.rome.layr'"),
        (("runs", "prefixes", "variants", "default", "lrr"), 1, "lrr"),
        (("editors", "rome", "fact_token"), "middle", "'middle' is not one of"),
        (("editors", "ft_l", "norm_constraint"), -1, "less than or equal to the minimum"),
        (("runs", "zsre", "dataset"), "fever", "'fever' is not one of"),
        (("tracing", "variants", "uniform", "noise"), "loud", "'loud' does not match"),
        (("max_cases",), 0, "less than the minimum"),
        (("blok",), 3, "unknown key 'blok'"),
    ],
)
def test_a_wrong_setting_is_named(config, path, value, message):
    with pytest.raises(ConfigError, match=message):
        check_settings(changed(config, path, value), SCHEMA, [CONFIG])


def test_models_play_their_parts(config):
    plan = Plan({**config, "run": RUN})
    assert (plan.main, plan.small, plan.lead, plan.second) == (
        ["world-large"],
        ["world-small"],
        "world-large",
        ["world-small"],
    )
    alone = Plan({**config, "run": {**RUN, "models": ["gpt2-medium"]}})
    assert (alone.main, alone.small, alone.second) == (["gpt2-medium"], ["gpt2-medium"], ["gpt2-medium"])
    large = Plan({**config, "run": {**RUN, "models": ["gpt2-xl"], "scale": "paper"}})
    assert (large.small, large.second) == ([], [])
    assert json.loads(large.comparison(["gpt2-xl"]))["exact"]
    assert not json.loads(plan.comparison(["world-large"]))["exact"]


def test_a_bound_on_the_cases_reaches_every_run(config):
    plan = Plan({**config, "max_cases": 3, "run": RUN})
    assert {plan.cases(run) for run in config["runs"]} == {3}
    assert plan.facts("default") == 3
    assert Plan({**config, "run": RUN}).facts("default") == config["tracing"]["facts"]


def test_files_are_asked_for_where_they_are_used(config):
    plan = Plan({**config, "run": RUN})
    full, sweep = (SimpleNamespace(run=run, model="world-large") for run in ("counterfact", "ft_sweep"))
    assert plan.other_facts(full) == {"book": "<results>/data/facts.json"}
    assert plan.other_facts(sweep) == {}
    assert plan.references(full) == {"snippets": "<results>/data/attribute_snippets.json"}
    assert plan.references(sweep) == {}
    without = Plan({**config, "run": {**RUN, "data": ["counterfact.json"]}})
    assert without.other_facts(full) == {}
    assert plan.texts(SimpleNamespace(trace="multivariate")) == {"corpus": "<results>/data/corpus.txt"}
    assert plan.texts(SimpleNamespace(trace="uniform")) == {}


def test_variants_carry_every_setting(config):
    plan = Plan({**config, "run": RUN})
    variants = json.loads(plan.variants(SimpleNamespace(run="prefixes", model="gpt2-medium")))
    assert variants["no_prefix"]["contexts"] == "none"
    assert variants["default"]["layers"] == [8]
    assert variants["default"]["clamp_norm_factor"] == 3
    assert variants["default"]["lr"] == 0.5
    with pytest.raises(ConfigError, match="model 'gpt5' has no settings"):
        plan.variants(SimpleNamespace(run="prefixes", model="gpt5"))


def test_trained_editors_are_tested_where_a_model_has_some(config):
    bare = copy.deepcopy(config)
    del bare["models"]["world-large"]["trained"]
    plan = Plan({**bare, "run": RUN})
    everything = ("world-large", "<results>/rome/world-large/counterfact/summary.csv")
    assert plan.results("counterfact", "learned")[-1] == everything
    zsre = ("world-large", "<results>/rome/world-large/zsre/summary.csv")
    assert plan.results("zsre", "learned_zsre") == [zsre]
    learned = copy.deepcopy(config)
    learned["models"]["world-large"]["trained"] = {"mend_cf": "mend/counterfact/mend"}
    some = Plan({**learned, "run": RUN})
    fewer = ("world-large", "<results>/rome/world-large/learned/summary.csv")
    assert some.results("counterfact", "learned") == [fewer, everything]
    wildcards = SimpleNamespace(run="learned", model="world-large")
    assert list(some.edit_inputs(wildcards)) == ["book", "trained_mend_counterfact"]
    made = json.loads(some.variants(wildcards, {"trained_mend_counterfact": "there"}))
    assert made.pop("kn") == {"editor": "kn", "steps": 20, "threshold": 0.2, "leading_space": False}
    assert made == {"mend_cf": {"editor": "mend", "file": "there/mend.safetensors"}}
