"""What a paper's settings become as parameters of the rules that edit and measure."""

import json
import shlex
from types import SimpleNamespace

import pytest

from shared.editing.plan import RunPlan
from shared.errors import ConfigError

RUN = {"models": ["big", "little"], "device": "cpu", "dtype": "float32", "threads": 1, "seed": 7, "scale": "laptop"}
RUN |= {"gpus": 0, "data": ["counterfact.json", "facts.json", "attribute_snippets.json", "idf.npy"]}
CONFIG = {
    "items": {"small": ["little"]},
    "max_cases": None,
    "block": 5,
    "max_tokens": 512,
    "generation": {"max_length": 60, "top_k": 5, "every": 10},
    "contexts": {
        "default": {"starts": ["The", "You"], "lengths": [[10, 1]]},
        "plain": [[5, 10]],
    },
    "editors": {"memit": {"lr": 0.5}, "rome": {}},
    "models": {
        "big": {"stands_for": "gpt-j", "memit": {"layers": [3, 4]}},
        "little": {"stands_for": "", "memit": {"layers": [1]}},
    },
    "runs": {
        "joint": {
            "dataset": "counterfact",
            "cases": 100,
            "protocol": "batch:50",
            "generation": True,
            "metrics": "rome",
            "variants": {"memit": {"editor": "memit"}, "rome": {"editor": "rome", "contexts": "plain"}},
        },
        "alone": {
            "dataset": "zsre",
            "cases": 8,
            "generation": False,
            "other_facts": True,
            "variants": {"memit": {"editor": "memit", "lr": 0.1}},
        },
    },
}
METHODS = ["papers.memit.editor", "papers.rome.editor"]
JOINT, ALONE = (SimpleNamespace(model="big", run=run) for run in ("joint", "alone"))


def plan(run=RUN, **changes):
    return RunPlan("memit", CONFIG | changes | {"run": run}, METHODS)


def options_of(text):
    words = shlex.split(text)
    places = [place for place, word in enumerate(words) if word.startswith("--")] + [len(words)]
    return {words[a]: words[a + 1 : b] for a, b in zip(places, places[1:], strict=False)}


def test_a_joint_run_becomes_a_command():
    files = SimpleNamespace(card="results/models/big/card.json", cases="c.json", moments="m", contexts=["d", "p"])
    options = options_of(plan().evaluation(JOINT, files))
    assert options["--methods"] == METHODS
    assert options["--model"] == ["results/models/big"]
    assert options["--contexts"] == ["default=d", "plain=p"]
    assert options["--protocol"] == ["batch:50"]
    assert (options["--first"], options["--block"], options["--seed"]) == (["100"], ["5"], ["7"])
    assert (options["--max-length"], options["--generate-every"]) == (["60"], ["10"])
    assert "--facts" not in options
    files = SimpleNamespace(**vars(files) | {"contexts": ["d"], "book": "f.json"})
    options = options_of(plan().evaluation(ALONE, files))
    assert (options["--protocol"], options["--facts"]) == (["single"], ["f.json"])
    assert "--generate" not in options


def test_paths_carry_the_papers_name():
    assert plan().context_files(JOINT) == [f"<results>/memit/big/contexts/{name}.json" for name in ("default", "plain")]
    assert plan().case_file(ALONE) == "<results>/data/zsre.json"


def test_variants_are_filled_in():
    variants = json.loads(plan().variants(JOINT))
    assert variants["memit"] == {"editor": "memit", "lr": 0.5, "layers": [3, 4]}
    assert variants["rome"] == {"editor": "rome", "contexts": "plain"}
    assert json.loads(plan().variants(ALONE))["memit"]["lr"] == 0.1
    with pytest.raises(ConfigError, match="model 'huge' has no settings under `models` of papers/memit/config.yaml"):
        plan().variants(SimpleNamespace(model="huge", run="joint"))
    runs = {"joint": CONFIG["runs"]["joint"] | {"variants": {"x": {"editor": "mend"}}}}
    with pytest.raises(ConfigError, match="variant 'x' of run 'joint': editor 'mend' has no settings"):
        plan(runs=runs).variants(JOINT)


def test_contexts_of_either_kind():
    common = ["--paper", "memit", "--seed", "7"]
    words = plan().context_options(SimpleNamespace(contexts="default"))
    assert sorted(words) == sorted([*common, "--lengths", "[[10, 1]]", "--starts", "The", "You"])
    assert words[words.index("--starts") :] == ["--starts", "The", "You"]
    words = plan().context_options(SimpleNamespace(contexts="plain"))
    assert sorted(words) == sorted([*common, "--lengths", "[[5, 10]]"])


def test_files_and_metrics_of_a_run():
    assert plan().references(JOINT) == {
        "snippets": "<results>/data/attribute_snippets.json",
        "idf": "<results>/data/idf.npy",
    }
    assert plan().references(ALONE) == {}
    assert plan().other_facts(JOINT) == {}
    assert plan().other_facts(ALONE) == {"book": "<results>/data/facts.json"}
    assert plan().measures(JOINT) == "--dataset counterfact --metrics rome"
    assert plan().measures(ALONE) == "--dataset zsre"


def test_models_and_bounds():
    assert (plan().main, plan().small, plan().lead) == (["big"], ["little"], "big")
    assert plan(items={}).main == ["big", "little"]
    assert plan({**RUN, "models": ["little"]}).main == ["little"]
    assert plan(max_cases=3).cases("joint") == 3
    assert json.loads(plan().comparison(["big", "little"])) == {
        "stands_for": {"big": "gpt-j"},
        "exact": False,
        "scale": "laptop",
    }


def test_trained_editors_come_from_the_rooms_that_a_model_names():
    variants = {"rome": {"editor": "rome"}, "mend_cf": {"editor": "mend", "trained": "mend_cf"}}
    runs = {"joint": CONFIG["runs"]["joint"] | {"variants": variants}}
    editors = CONFIG["editors"] | {"mend": {}}
    big = CONFIG["models"]["big"] | {"trained": {"mend_cf": "mend/counterfact/best", "ke": "mend/texts/ke"}}
    made = plan(runs=runs, editors=editors, models=CONFIG["models"] | {"big": big})
    assert made.edit_inputs(JOINT) == {"trained_mend_counterfact": "<results>/mend/studies/counterfact/editors"}
    found = json.loads(made.variants(JOINT, {"trained_mend_counterfact": "here"}))
    assert found["mend_cf"] == {"editor": "mend", "file": "here/best.safetensors"}
    assert made.has_trained("big")
    assert not made.has_trained("little")
    # A model without such an editor goes without the row.
    without = SimpleNamespace(model="little", run="joint")
    assert list(json.loads(made.variants(without, {}))) == ["rome"]
    assert made.edit_inputs(without) == {}
