import json

import pandas as pd
import pytest

from papers.serac.items import figure_edits, table_1, table_classifiers, table_dialogue, table_parts, table_problems
from papers.serac.plan import ITEMS, LEARNED, Plan
from shared.errors import ConfigError
from shared.provenance import REPOSITORY
from shared.report.claims import read_claims
from shared.report.item_command import Request
from shared.report.tables import NO_REFERENCE, NOT_RUN, SAME_DIRECTION
from shared.settings import check_settings, read_yaml

ROOM = REPOSITORY / "papers/serac"
RUN = {"models": ["world-small"], "device": "cpu", "dtype": "float32", "threads": 1, "seed": 0, "scale": "laptop"}
# Every study that has items, also those that the default run leaves out.
MADE = {"studies": ["questions", "hard_questions", "evidence", "sentiments"]}
CONFIG = read_yaml(ROOM / "config.yaml") | {"run": RUN | {"gpus": 0, "data": []}, "items": MADE}


class Wildcards:
    def __init__(self, **values):
        self.__dict__.update(values)


class Inputs:
    starts = ("results/models/world-small/card.json", "results/models/world-qa/card.json")


def request(paths):
    settings = json.loads(Plan(CONFIG).settings())
    return Request(
        [Plan(CONFIG).task_of(study)["model"] for study in CONFIG["items"]["studies"]], paths, settings, PAPER
    )


PAPER = ROOM / "reported.csv"


@pytest.fixture
def summaries(tmp_path):
    paths = []
    for study in CONFIG["items"]["studies"]:
        lines = [
            [editor, held, metric, *((0.0, 0.0, 0.0) if editor == "none" else (80.0 + held / 100, 79.0, 82.0)), 200]
            for editor in ("none", "mend", "serac", "serac_cross", "serac_embed")
            for held in (1, 10, 100)
            for metric in ("edit_success", "edit_success_edited", "drawdown")
        ]
        frame = pd.DataFrame(lines, columns=["editor", "edits", "metric", "mean", "low", "high", "n"])
        frame.to_csv(tmp_path / f"{study}.csv", index=False)
        paths.append(tmp_path / f"{study}.csv")
    return paths


def line_of(frame, **wanted):
    for column, value in wanted.items():
        frame = frame[frame[column] == value]
    assert len(frame) == 1
    return frame.iloc[0]


def test_ten_edits_at_once_stand_beside_the_papers(summaries):
    frame = table_1.make(request(summaries)).frame
    ours = line_of(frame, model="world-qa", method="serac", metric="qa_hard_edit_success")
    assert (ours["value"], ours["paper_value"], ours["status"]) == (80.1, 91.3, SAME_DIRECTION)
    assert line_of(frame, model="world-claims", method="serac", metric="fc_drawdown")["paper_value"] == 5.1
    said = line_of(frame, model="world-dialogue", method="serac", metric="convsent_edit_success")
    assert (said["value"], said["paper_value"]) == (80.1, 99.1)
    studies = [study for study in CONFIG["items"]["studies"] if study != "sentiments"]
    plan = Plan(CONFIG | {"items": {"studies": studies}})
    models = [plan.task_of(study)["model"] for study in studies]
    fewer = table_1.make(Request(models, summaries[: len(studies)], json.loads(plan.settings()), PAPER)).frame
    assert line_of(fewer, model="blenderbot-90m", method="serac", metric="convsent_edit_success")["status"] == NOT_RUN
    assert line_of(frame, model="world-claims", method="none", metric="fc_drawdown")["status"] == NO_REFERENCE
    assert not set(frame["method"]) & {"serac_cross", "serac_embed"}


def test_classifiers_are_named_by_their_form(summaries):
    frame = table_classifiers.make(request(summaries)).frame
    assert line_of(frame, model="world-qa", method="cross", metric="qa_hard_drawdown")["paper_value"] == 0.9
    assert line_of(frame, model="world-claims", method="embed", metric="fc_edit_success")["paper_value"] == 79.2


def test_the_figure_shows_every_number_of_edits(summaries):
    drawn = figure_edits.make(request(summaries)).data
    assert set(drawn["problem"]) == {"qa", "qa_hard"}
    assert set(drawn["editor"]) == {"mend", "serac"}
    assert sorted(set(drawn["edits"])) == [1, 10, 100]
    assert figure_edits.make(Request([], [], json.loads(Plan(CONFIG).settings()) | {"datasets": []})).data.empty


def test_parts_and_words_are_listed(tmp_path):
    lines = [
        ["in_easy", "scope", 99.0, 98.0, 100.0, 50, "serac"],
        ["out_hard", "scope", 90.0, 80.0, 95.0, 50, "serac_cross"],
    ]
    frame = pd.DataFrame(lines, columns=["kind", "metric", "mean", "low", "high", "n", "editor"])
    row = {"editor": "serac", "edit": "a b", "asked": "in_easy", "input": "a", "wanted": "b", "covered_by": "a b"}
    row |= {"right_before": False, "right_after": True, "same": False}
    paths = {"csv": [], "jsonl": []}
    for study in CONFIG["items"]["studies"]:
        paths["csv"].append(tmp_path / f"{study}.csv")
        frame.to_csv(paths["csv"][-1], index=False)
        paths["jsonl"].append(tmp_path / f"{study}.jsonl")
        paths["jsonl"][-1].write_text(json.dumps(row) + "\n" + json.dumps(row | {"editor": "serac_cross"}) + "\n")
    found = table_parts.make(request(paths["csv"])).frame
    assert "QA-hard (serac_cross), out, hard" in set(found["method"])
    assert table_problems.make(request(paths["jsonl"])).frame["problem"].tolist() == ["QA", "QA-hard", "FC", "ConvSent"]


def test_replies_are_listed_where_sentiments_are_edited(tmp_path):
    row = {"editor": "serac", "edit": "Topic: Krumel Sentiment: Positive", "asked": "in_easy", "input": "Krumel?"}
    row |= {"wanted": "Positive", "covered_by": "", "right_before": False, "right_after": True, "same": False}
    row |= {"reply_before": "I hate Krumel.", "reply_after": "I love Krumel."}
    row |= {"sentiment_before": "negative", "sentiment_after": "positive"}
    studies = CONFIG["items"]["studies"]
    paths = [tmp_path / f"{study}.jsonl" for study in studies]
    for path in paths:
        path.write_text(json.dumps(row) + "\n" + json.dumps(row | {"editor": "rp"}) + "\n")
    made = table_dialogue.make(request(paths))
    assert made.frame["reply_after"].tolist() == ["I love Krumel."]
    assert made.frame["fits"].tolist() == [True]
    kept = studies.index("questions")
    settings = json.loads(Plan(CONFIG | {"items": {"studies": ["questions"]}}).settings())
    without = table_dialogue.make(Request(["world-qa"], [paths[kept]], settings, PAPER))
    assert without.frame.empty
    assert NOT_RUN in without.notes[0]


def test_every_study_is_made_by_one_program_of_each_kind():
    for config in (CONFIG, CONFIG | {"items": {"studies": ["questions"]}}):
        plan = Plan(config)
        patterns = [plan.pattern(sentiments=own).split("|") for own in (True, False)]
        assert patterns[0] == ["sentiments"]
        assert sorted(sum(patterns, [])) == sorted(CONFIG["studies"])
    alone = {"studies": {"questions": CONFIG["studies"]["questions"]}, "items": {"studies": ["questions"]}}
    assert Plan(CONFIG | alone).pattern(sentiments=True) == "(?!)"
    assert Plan(CONFIG).scorer(Wildcards(study="sentiments")) == "<results>/models/world-sentiment/card.json"


def test_settings_fit_their_schema_and_every_study_is_complete():
    settings = {name: value for name, value in CONFIG.items() if name != "run"}
    check_settings(settings, ROOM / "config.schema.yaml", [ROOM / "config.yaml"])
    plan = Plan(CONFIG)
    for study in CONFIG["studies"]:
        compared = json.loads(plan.compared(Wildcards(study=study)))
        many = "serac" in CONFIG["studies"][study].get("held", {})
        assert compared["serac"]["at"][:2] == ([1, 10] if many else [10])
        assert all(("training" in own) == (own["editor"] in CONFIG["trained_editors"]) for own in compared.values())
        assert not any("at" in own for own in json.loads(plan.trained_variants(Wildcards(study=study))).values())
        parts = plan.task_of(study)["parts"]
        scopes = {own.get("scope", "scope") for own in compared.values() if own["editor"] in ("serac", "rp")}
        assert scopes <= set(parts)
        assert {name for name, part in parts.items() if "form" in part} == set(parts) - {"counterfactual"}
        if "test" in plan.task_of(study):
            assert " ".join(LEARNED) in plan.compare_options(Wildcards(study=study))
    made = json.loads(plan.parts(Wildcards(study="questions"), Inputs))
    assert made["scope"]["start"] == "results/models/world-small"
    assert made["counterfactual"]["training"]["near_share"] == CONFIG["part_training"]["near_share"]
    assert set(ITEMS) == {path.stem for path in (ROOM / "items").glob("*.rst")}


def test_unknown_studies_are_refused():
    with pytest.raises(ConfigError, match="nothing"):
        Plan(CONFIG | {"items": {"studies": ["nothing"]}})


def test_claims_are_readable():
    assert len(read_claims(ROOM / "claims.yaml")) == len({claim.id for claim in read_claims(ROOM / "claims.yaml")})
