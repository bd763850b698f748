"""The paper's settings: complete, refused with a message where they are wrong, and put together in the right order."""

import copy
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from papers.localization.plan import Plan
from papers.localization.settings import editor_of, method_settings
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
    "data": ["counterfact.json", "zsre.json"],
}
FILES = SimpleNamespace(card="m/card.json", cases="c.json", facts="f.jsonl", moments="x.safetensors")


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


def planned(config, **run):
    return Plan({**config, "run": RUN | run})


def test_the_settings_are_valid(config):
    check_settings(config, SCHEMA, [CONFIG])


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("mode",), "as_published", "'as_published' is not one of"),
        (("models", "gpt-j", "layrs"), [3], "unknown key 'models.gpt-j.layrs'"),
        (("problems", "fact_erasure", "ft_1", "eps"), 1, "eps"),
        (("problems", "forgetting"), {}, "forgetting"),
        (("runs", "zsre", "dataset"), "fever", "'fever' is not one of"),
        (("runs", "second", "editors"), ["mend"], "'mend' is not one of"),
        (("editors", "memit", "update_weight"), 0, "less than or equal to the minimum"),
        (("zsre", "question"), "Question:", "does not match"),
        (("block",), 0, "less than the minimum"),
    ],
)
def test_a_wrong_setting_is_named(config, path, value, message):
    with pytest.raises(ConfigError, match=message):
        check_settings(changed(config, path, value), SCHEMA, [CONFIG])


def test_models_play_their_parts(config):
    plan = planned(config)
    assert (plan.lead, plan.second, plan.second_run) == ("world-small", ["world-large"], "second")
    alone = planned(config, models=["gpt2-xl"], scale="paper")
    assert (alone.lead, alone.second, alone.second_run) == ("gpt2-xl", ["gpt2-xl"], "counterfact")
    other = planned(config, models=["gpt2-medium"])
    assert (other.lead, other.second) == ("gpt2-medium", [])
    assert json.loads(planned(config, models=["gpt-j"], scale="paper").comparison(["gpt-j"]))["exact"]
    assert not json.loads(plan.comparison(["world-small"]))["exact"]


def test_a_models_settings_win_over_the_problems_and_these_over_the_editors(config):
    def settings(model, editor, problem):
        return method_settings(config, model, editor, problem)

    assert settings("gpt-j", "ft_1", "error_injection")["norm_constraint"] == 1e-4
    assert settings("gpt2-xl", "ft_1", "error_injection")["norm_constraint"] == 1e-3
    assert settings("gpt2-xl", "ft_1", "fact_erasure")["norm_constraint"] == 1e-5
    assert settings("gpt-j", "rome", "fact_forcing")["n_steps"] == 25
    assert settings("gpt-j", "rome", "error_injection")["kl_factor"] == 1.0
    assert "kl_factor" not in settings("gpt-j", "rome", "fact_erasure")
    assert settings("unheard-of", "memit", "error_injection")["update_weight"] == 15000
    assert "method" not in settings("gpt-j", "ft_5", "fact_forcing")
    assert editor_of(config, "world-small", "ft_5")["window"] == 3
    released = config | {"mode": "as_released"}
    assert method_settings(released, "gpt-j", "ft_5", "error_injection")["norm_constraint"] == 5e-5
    assert method_settings(released, "gpt-j", "rome", "fact_forcing")["lr"] == 5e-2


def test_commands_carry_what_the_settings_say(config):
    plan = planned(config | {"known_only": False})
    wildcards = SimpleNamespace(model="world-small", run="counterfact", editor="memit")
    words = plan.editing(wildcards, FILES)
    assert words[words.index("--window") + 1] == "3"
    assert words[words.index("--label") + 1] == "memit"
    assert words[words.index("--layers") + 1 : words.index("--window")] == ["0", "3", "5", "7"]
    assert "--unknown-too" in words
    assert "--zsre" not in words
    assert list(json.loads(plan.problems(wildcards))) == config["runs"]["counterfact"]["problems"]
    zsre = SimpleNamespace(model="world-small", run="zsre", editor="rome")
    assert json.loads(plan.editing(zsre, FILES)[-1])["question"] == "{}"
    assert "--windows 3 5 " in plan.tracing(zsre)
    assert "--zeroed 3" in plan.tracing(wildcards)
    assert plan.case_file(zsre) == "<results>/data/zsre.json"
    assert "--window 3 --wide 5" in plan.measures(zsre)


def test_a_bound_on_the_cases_reaches_every_run(config):
    assert {planned(config | {"max_cases": 3}).cases(run) for run in config["runs"]} == {3}


def test_every_layer_and_window_exists_in_its_model(config):
    depths = {"world-tiny": 5, "world-small": 8, "world-large": 10, "counterfact-small": 10, "gpt2-medium": 24}
    for model, depth in (depths | {"gpt2-large": 36, "gpt2-xl": 48, "gpt-j": 28}).items():
        own = config["models"][model]
        assert max(*own["layers"], own["early_layer"], *own["memit_layers"]) < depth
        assert own["early_layer"] in own["layers"]
        assert {0, depth - 1} <= set(own["layers"])
    traced = config["runs"]["counterfact"]["windows"]
    assert all(set(own["tracing_windows"]) <= set(traced) for own in config["models"].values())
