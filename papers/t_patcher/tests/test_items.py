"""Tables and figures from small files of streams."""

import itertools
import json
from types import SimpleNamespace

import pandas as pd
import pytest
import yaml

from papers.t_patcher.items import figure_4, figure_5, table_1, table_2, table_3, table_ablations
from papers.t_patcher.items.results import METRICS, REACH
from papers.t_patcher.plan import FILES, RUNS, Plan
from shared.provenance import REPOSITORY
from shared.settings import check_settings
from shared.tests.item_requests import request_from

ROOM = REPOSITORY / "papers/t_patcher"
SETTINGS = {"datasets": {"ours": "zsre"}, "stands_for": {"ours": "bart-base"}, "exact": False, "scale": "laptop"}


def streams(editors):
    """Return two streams of each editor, with checkpoints at two and four edits."""
    rows = []
    for place, (editor, fold, edits) in enumerate(itertools.product(editors, (0, 1), (2, 4))):
        numbers = {metric: min(1.0, 0.5 + 0.01 * place) for metric in METRICS}
        counts = {"mistakes": 5, "edits": edits, "patches": edits, "seconds": 2.0, "near_retain_rate": 0.9}
        counts |= dict.fromkeys(REACH, 0.4)
        rows.append({"editor": editor, "fold": fold, **counts, **numbers})
    return pd.DataFrame(rows)


@pytest.fixture
def request_of(tmp_path):
    """Return a function that makes the request of an item with two files of the same model."""

    def make(*frames):
        return request_from(tmp_path, frames, SETTINGS, ROOM / "reported.csv")

    return make


def last(frame):
    """Return the rows at the streams' ends."""
    return frame[frame["edits"] == 4]


def test_table_1_holds_every_editor_and_says_what_was_not_run(request_of):
    request = request_of(last(streams(["t_patcher"])), last(streams(["ft_last", "ft_all", "mend"])))
    table = table_1.make(request).frame
    own = table[(table["model"] == "ours") & (table["metric"] == "success_rate")].set_index("method")
    assert own.loc["T-Patcher", "n"] == 2
    assert own.loc["T-Patcher", "low"] <= own.loc["T-Patcher", "value"] <= own.loc["T-Patcher", "high"]
    assert own.loc["mend", "value"] > 0
    assert own.loc["serac", "status"] == "NOT_RUN"
    assert (table[table["model"] == "bert-base-uncased"]["status"] == "NOT_RUN").all()


def test_other_tables(request_of):
    single = last(streams(["t_patcher", "ft_all_kl"])).drop_duplicates("editor")
    long = table_2.make(request_of(single)).frame
    counts = long[(long["method"] == "T-Patcher") & (long["model"] == "ours")].set_index("metric")["value"]
    assert (counts["mistakes"], counts["edits"], counts["seconds_per_edit"]) == (5, 4, 0.5)
    losses = table_3.make(request_of(last(streams(["t_patcher", "no_memory"])))).frame
    assert {"T-Patcher", "w/o l_m"} <= set(losses[losses["model"] == "ours"]["method"])
    ablated = table_ablations.make(request_of(last(streams(["t_patcher", "memory_10", "layer_0"])))).frame
    assert set(ablated["method"]) == {"T-Patcher", "memory 10", "layer 0"}


def test_figures(request_of):
    drawing = figure_4.make(request_of(streams(["t_patcher"]), streams(["ft_all"])))
    assert set(drawing.data["editor"]) == {"t_patcher", "ft_all"}
    assert set(drawing.data["edits"]) == {2, 4}
    rows = [
        {"patch": patch, "example": example, "of": of, "own": of == "edit" and patch == example, "activation": 1.0}
        for patch, example, of in itertools.product(range(3), range(3), ("edit", "test"))
    ]
    assert len(figure_5.make(request_of(pd.DataFrame(rows).assign(editor="t_patcher"))).data) == 18


def config(changes=None):
    """Return the room's settings as a run has them."""
    own = yaml.safe_load((ROOM / "config.yaml").read_text()) | (changes or {})
    return own | {"run": {"gpus": 0, "seed": 0, "dtype": "float32", "device": "cpu", "scale": "laptop"}}


def test_the_settings_are_valid_and_every_item_has_files():
    own = config()
    check_settings({name: own[name] for name in own if name != "run"}, ROOM / "config.schema.yaml", ["config.yaml"])
    plan = Plan(own)
    assert all(plan.inputs(item) for item in RUNS)
    assert set(FILES) < set(RUNS)
    for run in own["runs"].values():
        assert set(run["variants"]) <= set(own["variants"])
        assert set(run["studies"]) <= set(own["studies"])

    class Wildcards:
        study, run = "questions", "ablations"

    options = plan.options(Wildcards, SimpleNamespace(trained=plan.trained(Wildcards)))
    sizes = json.loads(options.split("--sizes '")[1].split("'")[0])
    assert sizes["edit"] == own["runs"]["ablations"]["edits"]
    variants = json.loads(options.split("--variants '")[1].split("'")[0])
    assert variants["layer_0"]["layer"] == 0
    assert variants["layer_0"]["memory_weight"] == own["studies"]["questions"]["patches"]["memory_weight"]


def test_other_papers_editors_join_where_they_are_trained():
    own = config()
    own["runs"]["baselines"]["variants"] = ["ft_last", "mend", "serac"]
    plan = Plan(own)
    for study, methods in (("questions", ["mend", "serac"]), ("claims", ["mend"])):
        place = SimpleNamespace(study=study, run="baselines")
        folders = plan.trained(place)
        assert folders == [own["studies"][study]["trained"][method] for method in methods]
        options = plan.options(place, SimpleNamespace(trained=["a", "b"][: len(folders)]))
        variants = json.loads(options.split("--variants '")[1].split("'")[0])
        assert [variants[name].get("folder") for name in ["ft_last", *methods]] == [None, "a", "b"][: 1 + len(methods)]
        assert ("papers.serac.method" in options) == (study == "questions")
        assert "--streams 4" in options
    folds = SimpleNamespace(study="questions", run="folds")
    assert plan.trained(folds) == []
    assert "--methods" not in plan.options(folds, SimpleNamespace(trained=[]))
