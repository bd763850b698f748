import json

import pandas as pd
import pytest

from papers.mend.items import figure_batches, table_1, table_2, table_4, table_5
from papers.mend.plan import LEARNED, STUDIES, Plan
from shared.errors import ConfigError
from shared.learning.study_plan import module_names
from shared.provenance import REPOSITORY
from shared.report.claims import read_claims
from shared.report.item_command import Request
from shared.report.tables import NO_REFERENCE, NOT_RUN, SAME_DIRECTION
from shared.settings import check_settings, read_yaml

ROOM = REPOSITORY / "papers/mend"
RUN = {"models": ["world-small"], "device": "cpu", "dtype": "float32", "threads": 1, "seed": 0, "scale": "laptop"}
CONFIG = read_yaml(ROOM / "config.yaml") | {"run": RUN | {"gpus": 0, "data": []}}


class Wildcards:
    def __init__(self, **values):
        self.__dict__.update(values)


def summary(path, means):
    """Write a summary of (editor, pairs, metric) → mean."""
    lines = [[*key, mean, mean - 1, mean + 1, 40] for key, mean in means.items()]
    frame = pd.DataFrame(lines, columns=["editor", "edits", "metric", "mean", "low", "high", "n"])
    frame.to_csv(path, index=False)
    return path


@pytest.fixture
def questions(tmp_path):
    editors = ("none", "ft", "mend", "ke", "cache")
    means = {(name, 1, "edit_success"): 0.0 if name == "none" else 90.0 for name in editors}
    means |= {(name, 1, "accuracy_drawdown"): 0.0 for name in editors}
    means |= {("mend", 1, "perplexity_drawdown"): 0.1}
    return summary(tmp_path / "questions.csv", means)


@pytest.fixture
def batches(tmp_path):
    means = {(f"{name}_{pairs}", pairs, "edit_success"): 90.0 - pairs for name in ("mend", "enn") for pairs in (5, 25)}
    return summary(tmp_path / "batches.csv", means)


def request(paths, studies):
    settings = json.loads(Plan(CONFIG).study_settings(studies))
    return Request([CONFIG["tasks"]["questions"]["model"]] * len(paths), paths, settings, ROOM / "reported.csv")


def line_of(frame, **wanted):
    chosen = frame
    for column, value in wanted.items():
        chosen = chosen[chosen[column] == value]
    return chosen.iloc[0]


def test_small_models_stand_beside_the_papers(questions):
    frame = table_4.make(request([questions], ["questions"])).frame
    ours = line_of(frame, model="world-qa", method="mend", metric="edit_success")
    assert (ours["value"], ours["paper_value"], ours["status"]) == (90.0, 98.0, SAME_DIRECTION)
    assert line_of(frame, model="world-qa", method="none", metric="edit_success")["status"] == NO_REFERENCE
    assert line_of(frame, model="bert-base", method="mend", metric="edit_success")["status"] == NOT_RUN
    assert line_of(frame, model="world-qa", method="enn", metric="edit_success")["status"] == NOT_RUN
    assert "cache" not in set(frame["method"])
    assert not ((frame["model"] == "world-qa") & (frame["metric"] == "perplexity_drawdown")).any()


def test_several_pairs_are_told_apart_by_their_number(questions, batches):
    asked = request([questions, batches], ["questions", "batches"])
    frame = table_5.make(asked).frame
    values = {
        name: line_of(frame, method=name, metric="edit_success")["value"] for name in ("mend", "mend_5", "enn_25")
    }
    assert values == {"mend": 90.0, "mend_5": 85.0, "enn_25": 65.0}
    drawn = figure_batches.frame_of(asked)
    assert sorted(drawn[drawn["editor"] == "mend"]["pairs"]) == [1, 1, 5, 25]
    assert set(drawn["editor"]) == {"ft", "mend", "enn"}


def test_listings_need_no_numbers(tmp_path):
    assert len(table_1.make(Request([], [])).frame) == 5
    row = {"edit": 0, "asked": "edited", "question": "q", "wanted": "a", "before": "b", "after": "a"}
    (tmp_path / "shown.jsonl").write_text(json.dumps(row) + "\n")
    frame = table_2.make(Request(["world-qa"], [tmp_path / "shown.jsonl"])).frame
    assert frame.to_dict("records") == [row]
    assert list(table_2.make(Request([], [])).frame.columns) == list(row)


def test_settings_fit_their_schema_and_every_study_is_complete():
    settings = {name: value for name, value in CONFIG.items() if name != "run"}
    check_settings(settings, ROOM / "config.schema.yaml", [ROOM / "config.yaml"])
    plan = Plan(CONFIG)
    for study in CONFIG["studies"]:
        variants = json.loads(plan.trained_variants(Wildcards(study=study)))
        for variant in variants.values():
            assert ("training" in variant) == (variant["editor"] in CONFIG["trained_editors"])
        assert json.loads(plan.modules(Wildcards(study=study)))
        assert " ".join(LEARNED) in plan.study_options(Wildcards(study=study))
    assert {study for studies in STUDIES.values() for study in studies} <= set(CONFIG["studies"])


def test_settings_are_merged_from_paper_to_variant():
    plan = Plan(CONFIG)
    mend = json.loads(plan.trained_variants(Wildcards(study="batches")))["mend_25"]
    assert (mend["rank"], mend["sign"], mend["training"]["n_edits"]) == (256, "descent", 25)
    assert mend["training"]["edits_per_step"] == 2
    attention = json.loads(plan.trained_variants(Wildcards(study="ablations_questions")))["attention"]
    assert all("SelfAttention" in name for name in attention["modules"])
    with pytest.raises(ConfigError, match="nothing"):
        Plan(CONFIG | {"items": CONFIG["items"] | {"studies": ["nothing"]}})


def test_a_run_draws_and_shows_what_it_trains():
    few = Plan(CONFIG | {"items": CONFIG["items"] | {"studies": ["counterfact"]}})
    assert (list(few.figures()), few.shown_inputs(), few.summaries(STUDIES["table_4"])) == ([], [], [])
    assert list(Plan(CONFIG).figures()) == ["figure_batches"]
    assert "--first 600 200" in few.continuations()


def test_patterns_name_every_layer():
    weights = [{"layers": [1, 2], "maps": ["a.{}.b", "a.{}.c"]}, {"layers": [0], "maps": ["d.{}"]}]
    assert module_names(weights) == ["a.1.b", "a.1.c", "a.2.b", "a.2.c", "d.0"]


def test_claims_are_readable():
    assert len(read_claims(ROOM / "claims.yaml")) == len({claim.id for claim in read_claims(ROOM / "claims.yaml")})
