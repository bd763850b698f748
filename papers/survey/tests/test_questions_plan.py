"""From settings to the words of a command: files of trained editors, maps, and what the control copies."""

import json
from types import SimpleNamespace

import pytest

from papers.survey.questions_plan import QuestionPlan
from shared.errors import ConfigError
from shared.provenance import REPOSITORY
from shared.settings import read_yaml


@pytest.fixture
def config():
    own = read_yaml(REPOSITORY / "papers/survey/config.yaml")
    return own | {"run": {"dtype": "float32", "device": "cpu", "seed": 0, "gpus": 0, "data": ["facts.json"]}}


class Inputs(dict):
    """Inputs of a rule, by name or by attribute."""

    __getattr__ = dict.__getitem__


def inputs_of(plan, wildcards):
    return Inputs(plan.files | plan.trained(wildcards) | {"card": "models/world-qa/card.json"})


def test_every_file_of_a_trained_editor_is_an_input(config):
    plan, wildcards = QuestionPlan(config, "benchmarks"), SimpleNamespace(answerer="world-qa")
    words = plan.command(wildcards, inputs_of(plan, wildcards))
    methods = json.loads(words[words.index("--methods") + 1])
    folders = plan.trained(wildcards).values()
    given = [own[key] for own in methods.values() for key in ("file", "folder") if key in own]
    assert len(given) >= 3
    assert all(any(path.startswith(folder) for folder in folders) for path in given)
    assert methods["random"]["of"] == {"how": "trained", "file": methods["mend"]["file"]}
    assert all("{}" not in name for name in methods["ft_l"]["modules"])
    assert words[words.index("--records") + 1].endswith("counterfact=<results>/data/counterfact.json")
    training = json.loads(plan.measuring(wildcards)[1])
    assert training["mend"] == "benchmarks/mend/train_editors/questions.jsonl"
    assert training["serac"].startswith("benchmarks/serac/train_parts/")


def test_a_run_without_a_fact_book_asks_no_families(config):
    config["run"]["data"] = []
    plan, wildcards = QuestionPlan(config, "benchmarks"), SimpleNamespace(answerer="world-qa")
    assert "--facts" not in plan.command(wildcards, inputs_of(plan, wildcards))


def test_faults_are_explained(config):
    with pytest.raises(ConfigError, match="does not describe t5-unknown"):
        QuestionPlan(config | {"questions": config["questions"] | {"use": ["t5-unknown"]}}, "benchmarks")
    with pytest.raises(ConfigError, match="unknown ones: guess"):
        QuestionPlan(config | {"questions": config["questions"] | {"methods": {"guess": {}}}}, "benchmarks")
