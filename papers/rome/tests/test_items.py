"""The paper's tables and figures, made from small records written by hand."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from papers.rome.average import effects
from papers.rome.effects import Traces, summary
from papers.rome.items import (
    appendix_e5,
    figure_1,
    figure_2,
    figure_2_numbers,
    figure_3,
    figure_5,
    figure_7,
    figure_14,
    figure_16,
    figure_17,
    figure_23,
    figure_24,
    generation_samples,
    key_handling,
    table_1,
    table_2,
    table_4,
    table_5,
    table_6,
)
from papers.rome.plan import Plan
from papers.rome.tests.test_config import RUN
from shared.editing.runs import point_name
from shared.measures.measure import write_frame
from shared.report.claims import judge, read_claims
from shared.report.item_command import figure_main, table_main
from shared.report.overview import read_items
from shared.report.tables import NOT_RUN, read_csv, read_reported
from shared.settings import read_yaml

FOLDER = Path(__file__).resolve().parent.parent
REPORTED = FOLDER / "reported.csv"
PLAN = Plan({**read_yaml(FOLDER / "config.yaml"), "run": RUN})
RULES = {name: item.script or name for name, item in (PLAN.tables() | PLAN.figures()).items()}
LAYERS = 4
METRICS = [f"{kind}_{what}" for kind in ("efficacy", "paraphrase", "neighborhood") for what in ("score", "magnitude")]


@pytest.mark.parametrize("item", RULES)
def test_every_item_has_a_caption_a_script_and_a_line_in_the_overview(item):
    caption = (FOLDER / "items" / f"{item}.rst").read_text()
    assert "snakemake.params.models" in caption or item == "table_2"
    assert (FOLDER / "items" / f"{RULES[item]}.py").is_file()
    assert not read_items(FOLDER / "items.yaml")[item].out_of_reach


def test_every_item_of_the_overview_is_made_or_says_why_not():
    items = read_items(FOLDER / "items.yaml")
    assert {name for name, item in items.items() if not item.out_of_reach} == set(RULES)
    assert {row.item for row in read_reported(REPORTED)} <= set(items)


def write_summary(folder, editors, metrics=(*METRICS, "score")):
    lines = [
        {"editor": editor, "metric": metric, "mean": 50.0, "low": 45.0, "high": 55.0, "normal_half_width": 5.0, "n": 9}
        for editor in editors
        for metric in metrics
    ]
    write_frame(pd.DataFrame(lines), folder / "summary.csv", index=False)
    return folder / "summary.csv"


def make_table(module, folder, models, inputs, settings):
    paths = {name: folder / f"made.{name}" for name in ("csv", "markdown", "page")}
    words = ["--models", *models, "--inputs", *inputs, "--settings", json.dumps(settings), "--reported", REPORTED]
    words += [word for name, path in paths.items() for word in (f"--{name}", path)]
    table_main(module.make, "test", [str(word) for word in words])
    return paths


def make_figure(module, folder, inputs, settings=None):
    paths = {name: folder / f"made.{name}" for name in ("svg", "png", "csv")}
    words = ["--models", *["world-large"] * len(inputs), "--inputs", *inputs, "--settings", json.dumps(settings or {})]
    words += [word for name, path in paths.items() for word in (f"--{name}", path)]
    figure_main(module.make, "test", [str(word) for word in words])
    assert paths["png"].stat().st_size > 5000
    return pd.read_csv(paths["csv"])


@pytest.mark.parametrize(
    ("module", "item", "paper_model"),
    [
        (table_1, "table_1", "gpt2-xl"),
        (table_4, "table_4", "gpt2-xl"),
        (table_5, "table_5", "gpt2-medium"),
        (table_6, "table_6", "gpt2-medium"),
    ],
)
def test_a_table_holds_every_row_of_the_paper(tmp_path, module, item, paper_model):
    dataset = read_reported(REPORTED, item)[0].dataset
    metrics = dict.fromkeys(row.metric for row in read_reported(REPORTED, item))
    path = write_summary(tmp_path, ["none", "rome"], metrics)
    made = make_table(module, tmp_path, ["world"], [path], {"stands_for": {"world": paper_model}})
    frame = read_csv(made["csv"])
    theirs = {(row.model, row.method, row.metric) for row in read_reported(REPORTED, item)}
    assert theirs == set(zip(frame["paper_model"], frame["method"], frame["metric"], strict=True))
    ran = frame[frame["status"] != NOT_RUN]
    assert set(ran["method"]) == {"none", "rome"}
    assert set(ran["dataset"]) == {dataset}
    assert "NOT_RUN" in made["page"].read_text()


def test_a_table_without_models_says_not_run(tmp_path):
    frame = read_csv(make_table(table_5, tmp_path, [], [], {})["csv"])
    assert set(frame["status"]) == {NOT_RUN}


def test_prefixes_stand_beside_the_papers_scores(tmp_path):
    path = write_summary(tmp_path, ["none", "default", "no_prefix", "long_prefix", "many_prefixes"])
    frame = read_csv(make_table(appendix_e5, tmp_path, ["world"], [path], {"stands_for": {"world": "gpt2-xl"}})["csv"])
    scores = frame[(frame["metric"] == "score") & (frame["method"] != "none")].set_index("method")["paper_value"]
    assert dict(scores) == {"no_prefix": 86.1, "default": 89.2, "long_prefix": 89.3, "many_prefixes": 89.2}
    path = write_summary(tmp_path, ["none", "rome", "r_rome", "p_rome"])
    keys = read_csv(make_table(key_handling, tmp_path, ["world"], [path], {})["csv"])
    assert list(dict.fromkeys(keys["method"])) == ["none", "rome", "r_rome", "p_rome"]


def test_composition_counts_distinct_things(tmp_path):
    rewrite = {"prompt": "{} speaks", "relation_id": "P103", "target_true": {"str": "French", "id": "Q1"}}
    rewrite["target_new"] = {"str": "English", "id": "Q2"}
    prompts = {"neighborhood_prompts": ["n"], "attribute_prompts": [], "generation_prompts": ["g", "g", "h"]}
    records = [
        {
            "case_id": n,
            "requested_rewrite": {**rewrite, "subject": name},
            "paraphrase_prompts": [f"p{n}", "p"],
            **prompts,
        }
        for n, name in enumerate(["Ada", "Bo", "Bo"])
    ]
    (tmp_path / "cases.json").write_text(json.dumps(records))
    made = make_table(table_2, tmp_path, ["-"], [tmp_path / "cases.json"], {"stands_for": {"-": "-"}})
    counts = read_csv(made["csv"]).set_index(["method", "metric"])["value"]
    assert counts["records", "total"] == 3
    assert counts["subjects", "total"] == counts["statements", "total"] == 2
    assert counts["objects", "per_relation"] == 1
    assert counts["paraphrases", "total"] == 4
    assert counts["generation", "per_record"] == 2


def test_samples_show_every_editor_on_the_same_prompts(tmp_path):
    edit = {"kind": "rewrite", "prompt": "Ada speaks", "target_new": "English", "target_true": "French"}
    rows = []
    for editor in ("none", "rome"):
        rows.append({**edit, "case_id": 7, "editor": editor})
        for prompt in ("Ada is", "Ada is", "Ada has", "Ada lives"):
            rows.append(
                {"kind": "generation", "case_id": 7, "editor": editor, "prompt": prompt, "text": f"{prompt} | {editor}"}
            )
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    made = make_table(generation_samples, tmp_path, ["world"], [tmp_path / "rows.jsonl"], {"cases": [0, 5]})
    frame = pd.read_csv(made["csv"])
    assert list(frame["prompt"]) == ["Ada is", "Ada is", "Ada has", "Ada has"]
    assert list(frame["editor"]) == ["unedited", "ROME"] * 2
    assert set(frame["continuation"]) == {"| none", "| rome"}
    assert "Ada speaks French → English" in made["page"].read_text()


@pytest.fixture(scope="module")
def traces():
    """Facts whose last subject token is decisive below layer 2, and whose last token above."""
    rows = []
    for number in range(6):
        state = np.full((5, LAYERS), 0.1)
        state[2, :2] = 0.6 + number / 50
        state[4, 2:] = 0.8
        severed = {"ordinary": [0.6, 0.6, 0.2, 0.1], "mlp": [0.15, 0.4, 0.2, 0.1], "attention": [0.6, 0.6, 0.2, 0.1]}
        rows.append(
            {
                "known_id": number,
                "prompt": "a B C d e",
                "subject": f"B C{number}",
                "tokens": ["a", " B", f" C{number}", " d", " e"],
                "subject_range": [1, 3],
                "answer": " f",
                "attribute": "f",
                "correct": number != 3,
                "high": 0.9,
                "low": 0.1,
                "scores": {
                    "state": state.tolist(),
                    "mlp": (state * 0.9).tolist(),
                    "attention": state[:, ::-1].tolist(),
                },
                "gradients": {kind: state.tolist() for kind in ("state", "mlp", "attention")},
                "severed": severed,
            }
        )
    return rows


@pytest.fixture
def traced(traces, tmp_path):
    (tmp_path / "facts.jsonl").write_text("\n".join(map(json.dumps, traces)))
    known = [row for row in traces if row["correct"]]
    write_frame(effects(Traces(known, len(traces))), tmp_path / "effects.csv", index=False)
    write_frame(summary(known), tmp_path / "numbers.csv", index=False)
    return tmp_path


def test_single_facts_are_chosen_by_position_or_subject(traced):
    frame = make_figure(figure_1, traced, [traced / "facts.jsonl"], {"facts": [3, "B C0", 99]})
    assert list(dict.fromkeys(frame["known_id"])) == [4, 0]
    assert list(dict.fromkeys(frame["token"]))[:5] == ["a", "B*", "C4*", "d", "e"]
    assert set(frame["model"]) == {"world-large"}
    with pytest.raises(SystemExit):
        make_figure(figure_1, traced, [traced / "facts.jsonl"], {"facts": ["Nobody"]})
    frame = make_figure(figure_16, traced, [traced / "facts.jsonl"], {"facts": [0]})
    assert len(frame) == 3 * 5 * LAYERS
    frame = make_figure(figure_14, traced, [traced / "facts.jsonl"], {"facts": [0, 1, 2, 3]})
    first = frame[(frame["known_id"] == 0) & (frame["layer"] == 0)].set_index("condition")["value"]
    assert first.round(6).to_dict() == {"ordinary": 50, "mlp": 5, "attention": 50}


def test_average_effects_have_the_early_and_the_late_site(traced):
    maps = make_figure(figure_2, traced, [traced / "effects.csv"] * 2, {"titles": ["one", "two"]})
    assert set(maps["noise"]) == {"one", "two"}
    assert len(make_figure(figure_7, traced, [traced / "effects.csv"])) == len(maps) / 2
    bars = make_figure(figure_3, traced, [traced / "effects.csv"])
    assert set(bars["condition"]) == {"ordinary", "mlp", "attention"}
    make_figure(figure_2, traced, [traced / "effects.csv"])
    (traced / "made.csv").rename(traced / "figure_2.csv")
    numbers = make_table(
        figure_2_numbers, traced, ["world-large"], [traced / "numbers.csv"], {"stands_for": {"world-large": "gpt2-xl"}}
    )
    numbers["csv"].rename(traced / "figure_2_numbers.csv")
    claims = [claim for claim in read_claims(FOLDER / "claims.yaml") if claim.id[:2] in ("C1", "C2", "C3")]
    verdicts = {verdict.claim.id: verdict.verdict for verdict in judge("rome", claims, traced)}
    assert verdicts["C2b"] == "HOLDS"
    assert verdicts["C3a"] == "HOLDS"
    assert verdicts["C10"] == "NOT_RUN"


def test_sweeps_have_a_line_per_series(tmp_path):
    tokens = ("subject_first", "subject_last", "subject_first_after_last", "last")
    names = [point_name("rome", {"fact_token": token, "layer": layer}) for token in tokens for layer in range(LAYERS)]
    frame = make_figure(figure_5, tmp_path, [write_summary(tmp_path, ["none", *names])])
    assert len(frame) == 4 * 4 * LAYERS
    assert "last subject token" in set(frame["token"])
    bounds = (0.001, 0.01, None)
    names = [point_name("ft", {"norm_constraint": bound, "layer": layer}) for bound in bounds for layer in range(2)]
    frame = make_figure(figure_17, tmp_path, [write_summary(tmp_path, ["none", *names])])
    assert set(frame["constraint"]) == {"0.001", "0.01", "none"}
    names = [point_name("attn_edit", {"norm_constraint": bound}) for bound in (0.001, 0.002)]
    frame = make_figure(figure_23, tmp_path, [write_summary(tmp_path, ["none", *names])])
    assert set(frame["constraint"]) == {0.001, 0.002}


def test_boxes_show_every_case(tmp_path):
    lines = [
        {"editor": editor, "case_id": case, **dict.fromkeys(METRICS, case / 4)}
        for editor in ("none", "attn_edit", "rome", "ft")
        for case in range(4)
    ]
    write_frame(pd.DataFrame(lines), tmp_path / "cases.csv", index=False)
    frame = make_figure(figure_24, tmp_path, [tmp_path / "cases.csv"])
    assert len(frame) == 3 * 4 * len(METRICS)
    assert frame["value"].max() == 75
