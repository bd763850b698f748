"""The paper's tables and figures, made from small records written by hand, and the claims that read them."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from papers.memit.blocks import main as score_blocks
from papers.memit.items import (
    figure_3,
    figure_5,
    figure_6,
    figure_7,
    figure_8,
    figure_9,
    figure_11,
    figure_12,
    figure_13,
    table_1,
    table_2,
    table_repeated_subjects,
    table_timing,
)
from papers.memit.plan import Plan
from papers.memit.tests.test_config import RUN
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
CASES = ["efficacy_score", "paraphrase_score", "neighborhood_score"]
ACCURACIES = ["efficacy_accuracy", "paraphrase_accuracy", "neighborhood_accuracy"]
METRICS = ["score", *CASES, *ACCURACIES, "generation_entropy", "reference_score"]
SETS = {"sets": {"one": "3", "two": "2, 3", "three": "1, 2, 3", "all": "0, 1, 2, 3", "late": "5, 6"}}


def test_every_item_has_a_caption_a_script_and_a_line_in_the_overview():
    items = read_items(FOLDER / "items.yaml")
    assert {name for name, item in items.items() if not item.out_of_reach} == set(RULES)
    assert {row.item for row in read_reported(REPORTED)} <= set(items)
    for item in RULES:
        assert "snakemake.params.models" in (FOLDER / "items" / f"{item}.rst").read_text()
        assert (FOLDER / "items" / f"{item}.py").is_file()


def write_summary(folder, means, metrics=METRICS):
    """Write a run's summary; `means` gives each editor's value of all metrics."""
    lines = [
        {"editor": editor, "metric": metric, "mean": mean, "low": mean - 5, "high": mean + 5, "n": 9}
        for editor, mean in means.items()
        for metric in metrics
    ]
    path = folder / f"summary-{len(list(folder.iterdir()))}.csv"
    write_frame(pd.DataFrame(lines).assign(normal_half_width=5.0), path, index=False)
    return path


def make_table(module, folder, models, inputs, settings=None):
    paths = {name: folder / f"{module.__name__.rpartition('.')[2]}.{name}" for name in ("csv", "markdown", "page")}
    words = ["--models", *models, "--inputs", *inputs, "--settings", json.dumps(settings or {}), "--reported", REPORTED]
    words += [word for name, path in paths.items() for word in (f"--{name}", path)]
    table_main(module.make, "", list(map(str, words)))
    return paths


def draw(module, folder, inputs, settings=None):
    paths = {name: folder / f"{module.__name__.rpartition('.')[2]}.{name}" for name in ("svg", "png", "csv")}
    words = ["--models", *["world-small"] * len(inputs), "--inputs", *inputs, "--settings", json.dumps(settings or {})]
    words += [word for name, path in paths.items() for word in (f"--{name}", path)]
    figure_main(module.make, "", list(map(str, words)))
    assert paths["png"].stat().st_size > 5_000
    return pd.read_csv(paths["csv"])


def test_tables_stand_beside_the_papers_numbers(tmp_path):
    settings = {"stands_for": {"world-small": "gpt-j", "world-large": "gpt-neox-20b"}, "scale": "laptop"}
    first = write_summary(tmp_path, {"none": 10.0, "ft_w": 60.0, "rome": 50.0, "memit": 80.0})
    second = write_summary(tmp_path, {"none": 12.0, "memit": 70.0})
    made = make_table(table_2, tmp_path, ["world-small", "world-large"], [first, second], settings)
    table = read_csv(made["csv"]).set_index(["model", "method", "metric"])
    assert table.loc[("world-small", "memit", "score"), "paper_value"] == 85.8
    assert table.loc[("world-large", "memit", "score"), "paper_value"] == 82.0
    assert table.loc[("world-small", "mend", "score"), "status"] == NOT_RUN
    assert "FT-W" in made["page"].read_text()
    accuracies = [*ACCURACIES[:2], "specificity_accuracy", "score"]
    path = write_summary(tmp_path, {"none": 10.0, "ft_w": 60.0, "memit": 80.0}, accuracies)
    table = read_csv(make_table(table_1, tmp_path, ["world-small"], [path], settings)["csv"])
    assert set(table[table["status"] == NOT_RUN]["method"]) == {"mend", "rome"}
    path = write_summary(tmp_path, {"none": 10.0, "ft_w": 60.0, "memit": 20.0, "memit_joint": 70.0})
    page = make_table(table_repeated_subjects, tmp_path, ["world-small"], [path], settings)["page"]
    assert "MEMIT, joint z" in page.read_text()


def test_timing_is_listed_with_its_extrapolation_and_the_papers_seconds(tmp_path):
    lines = [("memit", part, n, s) for part, s in (("whole edit", 1.0), ("insertion", 0.2)) for n in (100, 1000)]
    path = tmp_path / "seconds.csv"
    pd.DataFrame(lines, columns=["method", "part", "n", "seconds"]).assign(peak_mib=np.nan).to_csv(path, index=False)
    made = pd.read_csv(make_table(table_timing, tmp_path, ["world-small"], [path])["csv"])
    last = made[made["edits"] == 1000].set_index("part")
    assert last.loc["whole edit", "paper, GPT-J, 10,000: s"] == 26772.9
    assert last.loc["insertion", "paper, GPT-J, 10,000: s"] == 3226.35
    assert last.loc["whole edit", "s for 10,000 (extrapolated)"] == 1


def write_effects(folder):
    lines = [
        {"kind": "severed", "category": condition, "layer": layer, "value": value}
        for condition, curve in {
            "ordinary": [40, 50, 60, 55, 30],
            "attention": [39, 49, 59, 54, 29],
            "mlp": [5, 10, 20, 54, 29],
        }.items()
        for layer, value in enumerate(curve)
    ]
    lines += [
        {"kind": kind, "category": category, "layer": layer, "value": 10.0 + layer}
        for kind in ("state", "mlp", "attention")
        for category in ("last_subject", "last")
        for layer in range(5)
    ]
    path = folder / "effects.csv"
    frame = pd.DataFrame(lines)
    frame.assign(low=frame["value"] - 2, high=frame["value"] + 2, n=9).to_csv(path, index=False)
    return path


def test_tracing_figures(tmp_path):
    effects = write_effects(tmp_path)
    data = draw(figure_3, tmp_path, [effects], {"layers": [1, 2, 3]})
    gap = data[data["condition"] == "gap"].set_index("layer")
    assert gap["value"].tolist() == [35, 40, 40, 1, 1]
    assert gap["region"].tolist() == ["critical"] * 3 + ["after"] * 2
    assert figure_3.region(0, [3, 4, 5]) == "before"
    assert len(draw(figure_8, tmp_path, [effects])) == 30


def test_scaling_curves(tmp_path):
    paths = [write_summary(tmp_path, {"none": 20.0, "rome": rome, "memit": 90.0}) for rome in (95.0, 60.0)]
    data = draw(figure_5, tmp_path, paths, {"sizes": [1, 1000]})
    assert data[(data["editor"] == "rome") & (data["metric"] == "score")]["value"].tolist() == [95, 60]
    assert sorted(set(data["edits"])) == [1, 1000]


def write_blocks(folder):
    """Score four blocks of three cases each, of which two are mixed."""
    labels = ["P1", "P2", "P1+P2"]
    index = pd.DataFrame({"case_id": range(9), "block": np.repeat(labels, 3), "relation": "P1"})
    index.to_csv(folder / "index.csv", index=False)
    cases = [
        {"editor": editor, "case_id": case, **dict.fromkeys(CASES, share)}
        for editor, shares in {"none": [0.1] * 3, "ft_w": [0.4, 0.5, 0.6], "memit": [0.8, 0.9, 0.84]}.items()
        for case, share in enumerate(np.repeat(shares, 3))
    ]
    pd.DataFrame(cases).to_csv(folder / "cases.csv", index=False)
    files = {"cases": folder / "cases.csv", "index": folder / "index.csv", "out": folder / "blocks.csv"}
    score_blocks([word for name, path in files.items() for word in (f"--{name}", str(path))])
    return files["out"]


def test_blocks_are_scored_over_their_own_cases(tmp_path):
    blocks = write_blocks(tmp_path)
    scores = pd.read_csv(blocks, keep_default_na=False).set_index(["block", "editor", "metric"])["value"]
    assert scores["P1", "memit", "score"] == pytest.approx(80)
    assert scores["P1+P2", "ft_w", "efficacy_score"] == pytest.approx(60)
    data = draw(figure_6, tmp_path, [blocks])
    assert set(data["relation"]) == {"P1", "P2"}
    assert data[data["editor"] == "memit - ft_w"]["value"].tolist() == pytest.approx([40, 40])
    data = draw(figure_7, tmp_path, [blocks, blocks], {"sizes": [40, 160]})
    assert data[data["series"] == "average of both"]["value"].tolist() == pytest.approx([85, 85])
    assert data[data["series"] == "distance"]["value"].tolist() == pytest.approx([1, 1])


def write_ablations(folder):
    editors = {"none": 50.0}
    editors |= {point_name("decay", {"weight_decay": decay}): 60.0 for decay in (0, 1e-3)}
    weights = zip((30, 500, 3000, 10000), (60.0, 90.0, 80.0, 40.0), strict=True)
    editors |= {point_name("weight", {"update_weight": weight}): mean for weight, mean in weights}
    editors |= {f"layers_{name}": 70.0 + place for place, name in enumerate(SETS["sets"])} | {"layers_late": 50.0}
    editors |= {"attention_all": 40.0, "attention_late": 30.0}
    return write_summary(folder, editors)


def test_ablations(tmp_path):
    path = write_ablations(tmp_path)
    assert sorted(set(draw(figure_9, tmp_path, [path])["weight_decay"])) == [0, 1e-3]
    weights = draw(figure_13, tmp_path, [path])
    logarithms = weights[weights["metric"] == "score"]["log10_weight"].tolist()
    assert logarithms == pytest.approx(np.log10([30, 500, 3000, 1e4]), abs=1e-5)
    layers = draw(figure_11, tmp_path, [path], SETS)
    assert layers[layers["metric"] == "score"]["layers"].tolist() == list(SETS["sets"].values())
    sites = draw(figure_12, tmp_path, [path], SETS)
    assert sorted(set(sites["site"])) == ["MLP", "attention"]
    assert len(sites[sites["metric"] == "score"]) == 4


def test_every_claim_can_be_judged(tmp_path):
    settings = {"stands_for": {"world-small": "gpt-j"}, "scale": "laptop"}
    run = write_summary(tmp_path, {"none": 10.0, "ft_w": 60.0, "rome": 50.0, "memit": 80.0})
    make_table(table_2, tmp_path, ["world-small"], [run], settings)
    accuracies = [*ACCURACIES[:2], "specificity_accuracy", "score"]
    zsre = write_summary(tmp_path, {"none": 10.0, "ft_w": 60.0, "rome": 50.0, "memit": 80.0}, accuracies)
    make_table(table_1, tmp_path, ["world-small"], [zsre], settings)
    repeated = write_summary(tmp_path, {"none": 10.0, "ft_w": 60.0, "memit": 20.0, "memit_joint": 70.0})
    make_table(table_repeated_subjects, tmp_path, ["world-small"], [repeated], settings)
    draw(figure_3, tmp_path, [write_effects(tmp_path)], {"layers": [1, 2, 3]})
    draw(figure_5, tmp_path, [run, run], {"sizes": [1, 1000]})
    blocks, ablations = write_blocks(tmp_path), write_ablations(tmp_path)
    draw(figure_6, tmp_path, [blocks])
    draw(figure_7, tmp_path, [blocks], {"sizes": [40]})
    for figure in (figure_11, figure_12, figure_13):
        draw(figure, tmp_path, [ablations], SETS)
    verdicts = judge("memit", read_claims(FOLDER / "claims.yaml"), tmp_path)
    words = {verdict.claim.id: verdict.verdict for verdict in verdicts}
    assert {claim for claim, word in words.items() if word == NOT_RUN} == {"M3e", "M9", "M10"}
    # These records have one value for all metrics of an editor, and the same at one edit and at 1,000.
    equal = {"M2c", "M3a", "M3c", "M3d", "M4a", "M8e"}
    assert {claim for claim, word in words.items() if word == "FAILS"} <= equal
