"""The paper's tables, made from small records written by hand; its settings; its plan; its command line."""

import json
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from papers.ike import __main__ as command
from papers.ike.items import figure_3, table_2, table_3, table_4, table_5, table_6, table_7, table_8, table_9, table_10
from papers.ike.plan import POOL, Plan
from papers.ike.tests import golden
from shared.data.probes import ProbeRow
from shared.errors import ConfigError
from shared.measures.measure import write_frame
from shared.records import write_json, write_jsonl
from shared.report.claims import judge, read_claims
from shared.report.item_command import table_main
from shared.report.overview import read_items
from shared.report.tables import NOT_RUN, read_csv
from shared.settings import check_settings, read_yaml

FOLDER = Path(__file__).resolve().parent.parent
CONFIG, SCHEMA, REPORTED = FOLDER / "config.yaml", FOLDER / "config.schema.yaml", FOLDER / "reported.csv"
METRICS = [f"{kind}_{what}" for kind in ("efficacy", "paraphrase", "neighborhood") for what in ("score", "magnitude")]
EDITORS = ["none", "ft", "mend", "rome", "prompt", "ike"]
RUN = {
    "models": ["world-small"],
    "device": "cpu",
    "dtype": "float32",
    "threads": 1,
    "seed": 0,
    "scale": "laptop",
    "gpus": 0,
    "data": ["counterfact.json", "facts.json"],
}


@pytest.fixture
def config():
    return read_yaml(CONFIG) | {"run": RUN}


def test_items_have_scripts_captions_sources_and_lines_in_the_overview(config):
    items, made_from = read_items(FOLDER / "items.yaml"), Plan(config).tables()
    assert {name for name, item in items.items() if not item.out_of_reach} == set(made_from)
    for item, own in made_from.items():
        assert len(own.models) == len(own.files)
        assert "snakemake.params." in (FOLDER / "items" / f"{item}.rst").read_text()
        assert (FOLDER / "items" / f"{item}.py").is_file()


def summary(path, editors, metrics, value=50.0):
    lines = [
        {"editor": editor, "metric": metric, "mean": value, "low": value - 5, "high": value + 5, "n": 9}
        for editor in editors
        for metric in metrics
    ]
    write_frame(pd.DataFrame(lines), path, index=False)
    return path


def made(module, folder, models, inputs, settings=None):
    paths = {name: folder / f"{module.__name__.split('.')[-1]}.{name}" for name in ("csv", "markdown", "page")}
    words = ["--models", *models, "--inputs", *inputs, "--settings", json.dumps(settings or {}), "--reported", REPORTED]
    words += [word for name, path in paths.items() for word in (f"--{name}", path)]
    table_main(module.make, "", list(map(str, words)))
    return paths["csv"]


def test_tables_and_claims(tmp_path, config):
    stands = json.loads(Plan(config).comparison(["world-context"]))
    own = summary(tmp_path / "s.csv", EDITORS, [*METRICS, "score"])
    table = read_csv(made(table_2, tmp_path, ["world-context"], [own], stands))
    assert set(table[table["status"] == NOT_RUN]["model"]) == {"opt-175b"}
    assert set(table[table["model"] == "world-context"]["method"]) == set(EDITORS)
    ablations = list(config["runs"]["ablations"]["variants"])
    own = summary(tmp_path / "a.csv", ["none", *ablations], [*METRICS, "score"])
    table = read_csv(made(table_3, tmp_path, ["world-context"], [own], stands))
    assert {"without_retain", "ike_4", "random_order"} <= set(table[table["status"] != NOT_RUN]["method"])
    own = summary(tmp_path / "b.csv", ["none", "prompt", "ike"], [*METRICS, "score"])
    table = read_csv(made(table_4, tmp_path, ["world-context", "world-context-tiny"], [own, own], stands))
    assert {"world-context", "world-context-tiny", "opt-175b"} <= set(table["model"])
    effects = ["contrast", "false_rate_1.0", "false_rate_1.1", "probability_drop", "forgetting_rate"]
    own = summary(tmp_path / "e.csv", EDITORS, effects)
    made(table_5, tmp_path, ["world-context"], [own], stands)
    made(table_6, tmp_path, ["world-context"], [own], stands)
    kept = ["memorisation_ratio", "probability_first", "probability_last"]
    own = summary(tmp_path / "m.csv", ["rome", "prompt", "ike"], kept)
    made(table_10, tmp_path, ["world-context"], [own], stands)
    for path in tmp_path.glob("table_*.csv"):
        path.rename(tmp_path / f"{path.stem}.csv")
    verdicts = {
        verdict.claim.id: verdict.verdict for verdict in judge("ike", read_claims(FOLDER / "claims.yaml"), tmp_path)
    }
    assert {name for name, verdict in verdicts.items() if verdict == NOT_RUN} == {"K8"}
    assert verdicts["K5b"] == "HOLDS"
    assert verdicts["K4a"] == "FAILS"


def test_listings(tmp_path, config):
    cases = golden.FOLDER / "requests.json"
    settings = json.loads(Plan(config).demonstrated()) | {"cases": [0]}
    settings["ike"] |= {"k": 4}
    frame = pd.read_csv(made(table_7, tmp_path, ["m", "m"], [cases, cases], settings))
    assert len(frame) == 5
    assert frame["kind"].iloc[-1] == "copy"
    assert frame["record"].iloc[-1] == frame["case"].iloc[0]
    frame = pd.read_csv(made(table_8, tmp_path, ["m"], [cases], settings))
    assert {"new fact", "true object", "paraphrase", "neighborhood"} <= set(frame["field"])
    fact = {"query": "Anna Bell plays for _X_.", "answer": [{"name": "Meish"}], "date": "2019", "relation": "P54"}
    write_json(tmp_path / "s.json", [[fact, {**fact, "date": "2020"}]])
    frame = pd.read_csv(made(table_9, tmp_path, ["m"], [tmp_path / "s.json"]))
    assert frame["prompt"].tolist() == ["In 2019, Anna Bell plays for", "In 2020, Anna Bell plays for"]
    edit = ProbeRow(0, "rewrite", 0, "Anna Bell plays the", "lute", "piano", protocol="p")
    text = ProbeRow(
        0, "generation", 0, "Anna Bell is", protocol="p", phase="post", editor="ike", text=" Anna Bell is old"
    )
    write_jsonl(tmp_path / "p.jsonl", [edit.to_json(), text.to_json()])
    frame = pd.read_csv(made(figure_3, tmp_path, ["m"], [tmp_path / "p.jsonl"]))
    assert frame["continuation"].tolist() == ["old"]


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("editors", "ike", "order"), "sorted", "'sorted' is not one of"),
        (("editors", "ike", "ratio"), [1, 3], r"\[1, 3\] is too short"),
        (("editors", "ike", "shots"), 3, "'shots' was unexpected"),
        (("editors", "ike", "encoder"), "minilm", "encoder"),
        (("runs", "ablations", "variants", "ike_4", "lr"), 1, "ike_4"),
        (("blok",), 3, "unknown key 'blok'"),
    ],
)
def test_a_wrong_setting_is_named(config, path, value, message):
    del config["run"]
    check_settings(config, SCHEMA, [CONFIG])
    *parents, last = path
    holder = config
    for key in parents:
        holder = holder[key]
    holder[last] = value
    with pytest.raises(ConfigError, match=message):
        check_settings(config, SCHEMA, [CONFIG])


def test_the_plan(config):
    plan = Plan(config)
    assert (plan.lead, plan.sizes) == ("world-context", ["world-small"])
    assert plan.tables()["table_4"].models == ["world-context", "world-small"]
    large = Plan({**config, "use_models": None, "sizes": [], "run": {**RUN, "models": ["gpt2-xl"], "scale": "paper"}})
    assert (large.lead, large.sizes) == ("gpt2-xl", [])
    assert large.tables()["table_4"].files == ["<results>/ike/gpt2-xl/counterfact/summary.csv"]
    # A model without a trained editor goes without its row.
    assert "mend" not in json.loads(large.variants(SimpleNamespace(model="gpt2-xl", run="counterfact")))
    wildcards = SimpleNamespace(model="world-context", run="counterfact")
    inputs = plan.edit_inputs(wildcards)
    assert inputs == {"trained_ike_counterfact": "<results>/ike/studies/counterfact/editors", "pool": POOL}
    variants = json.loads(plan.variants(wildcards, inputs))
    assert variants["mend"] == {"editor": "mend", "file": f"{inputs['trained_ike_counterfact']}/mend.safetensors"}
    assert variants["ike"]["k"] == 8
    assert variants["prompt"] == {"editor": "prompt", "probe_tokens": 32}
    files = plan.memory_inputs(wildcards)
    options = plan.memorisation(wildcards, files)
    assert "--pool <results>/ike/data/pool.json" in options
    assert "--first 40" in options
    assert plan.split_options(wildcards, plan.split_inputs(wildcards)).endswith("--tested 240 --pool-size 300")


def test_the_trained_editor_sees_no_test_case(config):
    plan = Plan(config)
    words = plan.training()
    assert int(words[words.index("--held-out") + 1]) == config["tested"]
    trained = [model for model, own in config["models"].items() if own.get("trained")]
    assert [f"<results>/models/{model}/card.json" for model in trained] == [plan.learner()]


def test_command_line(tmp_path, capsys):
    model, pool = str(golden.FOLDER / "model"), str(golden.FOLDER / "requests.json")
    fact = [
        "--subject",
        "Anna Bell",
        "--prompt",
        "{} was born in",
        "--target",
        "Fifam",
        "--model",
        model,
        "--pool",
        pool,
    ]
    assert command.main(["edit", *fact, "-k", "2", "--overflow", "truncate", "--length", "5"]) == 0
    assert "ike on" in capsys.readouterr().out
    context = tmp_path / "context.txt"
    assert command.main(["export", *fact, "-k", "1", "--overflow", "truncate", "--out", str(context)]) == 0
    assert context.read_text().endswith("New Fact: Anna Bell was born in Fifam\nPrompt: ")
    words = ["evaluate", "--model", model, "--pool", pool, "-k", "1", "--overflow", "truncate", "--cases", pool]
    assert command.main([*words, "--first", "2"]) == 0
    assert "neighborhood_score" in capsys.readouterr().out
    assert command.main(["edit", *fact, "-k", "12"]) == 1
    assert "take fewer demonstrations" in capsys.readouterr().err
