"""What the settings become: methods without trained files are left out, jobs keep to their forms."""

import json
from copy import deepcopy
from types import SimpleNamespace

import pytest

from papers.survey.plan import Plan
from shared.errors import ConfigError
from shared.provenance import REPOSITORY
from shared.settings import read_yaml

RUN = {"gpus": 0, "device": "cpu", "seed": 0, "dtype": "float32", "scale": "laptop", "data": ["facts.json"]}


GIVEN = SimpleNamespace(
    card="m/card.json", moments="m.safetensors", records=["a", "b"], pools=["c", "d"], others=["e", "f"]
)


def plan(**changes):
    config = read_yaml(REPOSITORY / "papers/survey/config.yaml") | {"run": RUN} | changes
    return Plan(deepcopy(config), "benchmarks")


def words_after(words, name):
    return words[words.index(name) + 1]


def test_trained_files_are_named_by_form_and_the_others_left_out():
    wildcards = SimpleNamespace(decoder="world-small", job="single")
    folders = {name: f"folder_of_{name}" for name in plan().trained(wildcards)}
    assert set(folders) == {"survey_counterfact", "survey_zsre", "serac_requests"}
    methods = json.loads(plan().methods(wildcards, folders))
    assert methods["mend"]["file"]["zsre"] == "folder_of_survey_zsre/mend.safetensors"
    assert methods["serac"] == {"parts": "folder_of_serac_requests"}
    assert list(methods)[:3] == ["none", "prompt", "random"]
    untrained = json.loads(plan().methods(SimpleNamespace(decoder="world-tiny", job="single"), {}))
    assert {"mend", "ke", "serac"} & set(untrained) == set()
    assert "rome" in untrained


def test_a_job_keeps_to_its_forms():
    made, wildcards = plan(), SimpleNamespace(decoder="world-tiny", job="sequence_zsre")
    words = made.command(wildcards, GIVEN)
    assert words_after(words, "--records") == "zsre=b"
    assert words_after(words, "--pools") == "zsre=d"
    assert json.loads(words_after(words, "--job"))["protocol"] == "sequence"
    assert {"methods", "forms"} & set(json.loads(words_after(words, "--job"))) == set()
    assert "--settings-of" not in words


def test_a_taught_decoder_has_the_settings_of_the_one_that_it_was_made_from():
    words = plan().command(SimpleNamespace(decoder="world-context-tiny", job="batch"), GIVEN)
    assert words_after(words, "--settings-of") == "world-tiny"
    assert words[words.index("--others") + 1 :][:2] == ["counterfact=e", "zsre=f"]


def test_what_training_costs_is_read_where_it_was_measured():
    words = plan().measuring(SimpleNamespace(decoder="world-small"))
    training = json.loads(words_after(words, "--training"))
    assert training["zsre/ke"] == "benchmarks/survey/train_editors/zsre.jsonl"
    assert training["serac"] == "benchmarks/serac/train_parts/requests.jsonl"
    assert json.loads(words_after(words, "--bounds")) == {"norm_multiple": 4, "entropy_share": 0.5}


def test_items_read_all_models_and_compare_with_what_they_stand_for():
    made = plan()
    files = made.measured({"world-qa": "t5-xl"})
    own = json.loads(made.items(["table_zsre"], {"world-qa": "t5-xl"}, files))["table_zsre"]
    pairs = set(zip(own["models"], own["inputs"], strict=True))
    assert ("world-qa", "<results>/survey/costs/world-qa.csv") in pairs
    assert len(pairs) == 6
    compared = json.loads(made.comparison({"world-qa": "t5-xl"}))
    assert compared == {
        "stands_for": {"world-small": "gpt-j", "world-qa": "t5-xl"},
        "exact": False,
        "scale": "laptop",
    }


def test_unknown_models_and_jobs_are_refused():
    with pytest.raises(ConfigError, match="does not describe gpt5"):
        plan(use=["gpt5"])
    with pytest.raises(ConfigError, match="does not describe nothing"):
        plan(use_jobs=["nothing"])
