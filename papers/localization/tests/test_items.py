"""The paper's tables and figures, made from small records, and its claims checked on them."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from papers.localization.effects import effects_by_layer, means_by_window, peaks
from papers.localization.items import (
    figure_1,
    figure_2,
    figure_4,
    figure_6,
    figure_7,
    figure_10,
    figure_11,
    table_1,
    table_2,
    table_3,
    table_4,
    table_5,
    table_6,
    table_7,
    table_8,
)
from papers.localization.items.r2_table import BOUNDS
from papers.localization.measure import analyses, means_by_layer, regressions
from papers.localization.modes import MODES
from papers.localization.plan import Plan
from papers.localization.problems import PROBLEMS
from papers.localization.scores import SCORE_COLUMNS
from papers.localization.tests.test_config import RUN
from shared.errors import ConfigError, DataError
from shared.records import write_jsonl
from shared.report.claims import judge, read_claims
from shared.report.item_command import figure_main, table_main
from shared.report.overview import read_items
from shared.report.tables import NO_REFERENCE, NOT_RUN, read_csv, read_reported
from shared.settings import read_yaml

FOLDER = Path(__file__).resolve().parent.parent
REPORTED = FOLDER / "reported.csv"
PLAN = Plan({**read_yaml(FOLDER / "config.yaml"), "run": RUN})
RULES = {name: item.script or name for name, item in (PLAN.tables() | PLAN.figures()).items()}
EDITORS = ("ft_1", "ft_5", "rome", "memit")
LAYERS, FACTS = (0, 2, 3), 12
SETTINGS = {"window": 3, "wide": 5, "layer": 2, "memit_layers": [1, 2], "mode": "as_paper", "dataset": "counterfact"}
SCATTER = {"problem": "error_injection", "editor": "rome", "score": "rewrite", "effect": "max_fraction_restored"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Records of a small made-up run, in which the layer decides and tracing adds little."""
    made = tmp_path_factory.mktemp("records")
    random = np.random.default_rng(0)
    traces = [
        {
            "case_id": case,
            "subject": f"s{case}",
            "prompt": "p",
            "target": "t",
            "tokens": ["The", " s", " is"],
            "subject_range": [1, 2],
            "clean": 0.9,
            "corrupted": 0.1,
            "restored": {str(w): (0.1 + 0.8 * random.random((2, 4))).tolist() for w in (1, 3, 5)},
            "zeroed": (0.9 * random.random(4)).tolist(),
        }
        for case in range(FACTS)
    ]
    effects = effects_by_layer(traces, MODES["as_paper"])
    scores = pd.DataFrame(
        [
            (case, problem, editor, layer, 1, *(0.9 - 0.2 * layer + 0.1 * random.random(9)))
            for problem in PROBLEMS
            for editor in EDITORS
            for layer in LAYERS
            for case in range(FACTS)
        ],
        columns=SCORE_COLUMNS,
    )
    compared, _ = regressions(scores, effects, analyses(3, 5, True))
    write_jsonl(made / "traces.jsonl", traces)
    frames = {"effects": effects, "peaks": peaks(traces), "scores": scores, "regressions": compared}
    frames |= {"windows": means_by_window(effects), "means": means_by_layer(scores)}
    for name, frame in frames.items():
        frame.to_csv(made / f"{name}.csv", index=False)
    return made


def make_table(module, folder, tmp_path, settings=None, inputs=("regressions",), models=("world-small",)):
    paths = {name: tmp_path / f"made.{name}" for name in ("csv", "markdown", "page")}
    given = SETTINGS | {"stands_for": {"world-small": "gpt-j"}} | (settings or {})
    words = ["--models", *models, "--inputs", *(folder / f"{name}.csv" for name in inputs)]
    words += ["--settings", json.dumps(given), "--reported", REPORTED]
    words += [word for name, path in paths.items() for word in (f"--{name}", path)]
    table_main(module.make, "test", [str(word) for word in words])
    return read_csv(paths["csv"]), paths["page"].read_text()


def make_figure(module, folder, tmp_path, inputs, **settings):
    paths = {name: tmp_path / f"made.{name}" for name in ("svg", "png", "csv")}
    files = [folder / (name if "." in name else f"{name}.csv") for name in inputs]
    words = ["--models", *["world-small"] * len(files), "--inputs", *files]
    words += ["--settings", json.dumps(SETTINGS | settings)]
    words += [word for name, path in paths.items() for word in (f"--{name}", path)]
    figure_main(module.make, "test", [str(word) for word in words])
    assert paths["png"].stat().st_size > 2000
    return pd.read_csv(paths["csv"])


@pytest.mark.parametrize("item", RULES)
def test_every_item_has_a_caption_a_script_and_a_line_in_the_overview(item):
    caption = (FOLDER / "items" / f"{item}.rst").read_text()
    assert "snakemake.params.models" in caption
    assert (FOLDER / "items" / f"{RULES[item]}.py").is_file()
    assert not read_items(FOLDER / "items.yaml")[item].out_of_reach


def test_every_item_of_the_overview_is_made_or_says_why_not():
    items = read_items(FOLDER / "items.yaml")
    assert {name for name, item in items.items() if not item.out_of_reach} == set(RULES)
    assert {row.item for row in read_reported(REPORTED)} <= set(items)


@pytest.mark.parametrize(
    ("module", "item"),
    [
        (table_1, "table_1"),
        (table_2, "table_2"),
        (table_3, "table_3"),
        (table_4, "table_4"),
        (table_5, "table_5"),
        (table_6, "table_6"),
        (table_7, "table_7"),
    ],
)
def test_a_table_holds_every_number_of_the_paper_beside_ours(folder, tmp_path, module, item):
    frame, page = make_table(module, folder, tmp_path)
    theirs = {(row.method, row.metric) for row in read_reported(REPORTED, item)}
    ours = set(zip(frame["method"], frame["metric"], strict=True))
    assert theirs <= ours
    assert set(frame["status"]) == {NO_REFERENCE}
    assert set(frame["dataset"]) == {"counterfact"}
    for metric in set(frame["metric"]) & set(BOUNDS):
        rows = frame[frame["metric"] == metric]
        assert (rows["low"] <= rows["high"]).all()
        # A resample of nested fits can only gain, so that the interval of a tiny difference lies above it.
        assert (rows["value"] <= rows["high"] + 1e-9).all()
    assert "layer R²" in page


def test_table_3_has_twenty_cells_in_the_papers_order(folder, tmp_path):
    frame, _ = make_table(table_3, folder, tmp_path)
    methods = list(dict.fromkeys(frame["method"]))
    assert len(methods) == 20
    assert methods[:5] == [
        "Error Injection, FT-1",
        "Error Injection, FT-5",
        "Error Injection, ROME",
        "Error Injection, MEMIT",
        "Tracing Reversal, FT-1",
    ]


def test_what_did_not_run_says_so(folder, tmp_path):
    frame, _ = make_table(table_3, folder, tmp_path, {"stands_for": {}})
    assert set(frame[frame["model"] == "gpt-j"]["status"]) == {NOT_RUN}
    frame, page = make_table(table_8, folder, tmp_path, {"dataset": "zsre"}, inputs=(), models=())
    assert set(frame["status"]) == {NOT_RUN}
    assert "NOT_RUN" in page


def test_peaks_and_effects_at_the_last_subject_token(folder, tmp_path):
    frame = make_figure(figure_1, folder, tmp_path, ["peaks", "windows"])
    counted = frame[frame["panel"] == "peaks"]
    assert counted["value"].sum() == FACTS
    assert counted["layer"].tolist() == [0, 1, 2, 3]
    windows = make_figure(figure_11, folder, tmp_path, ["peaks", "effects"])
    assert windows.groupby("window")["value"].sum().to_dict() == {1: FACTS, 3: FACTS, 5: FACTS}


def test_one_fact_is_chosen_by_place_or_subject(folder, tmp_path):
    for fact in (3, "s3"):
        frame = make_figure(figure_2, folder, tmp_path, ["traces.jsonl"], fact=fact)
        assert set(frame["case_id"]) == {3}
        assert frame["token"].unique().tolist() == ["The", "s*", "is"]
    with pytest.raises(ConfigError, match="12 facts were traced, none is 's99'"):
        figure_2._chosen([{"subject": "x"}] * 12, "s99")


@pytest.mark.parametrize(
    "settings",
    [
        SCATTER | {"layers": [2]},
        SCATTER | {"layers": None},
        SCATTER | {"layers": None, "traced": "zeroed", "score": "overall"},
        SCATTER | {"layers": [2], "score": "magnitude", "effect": "last_subject_effect"},
    ],
)
def test_scatters(folder, tmp_path, settings):
    frame = make_figure(figure_4, folder, tmp_path, ["scores", "effects"], **settings)
    layers = settings["layers"] or list(LAYERS)
    assert len(frame) == FACTS * len(layers)
    for layer in layers:
        own = frame[frame["layer"] == layer]
        assert own["rho"].iloc[0] == pytest.approx(np.corrcoef(own["effect"], own["score"])[0, 1], abs=1e-4)


def test_the_line_and_its_band_equal_statsmodels():
    import statsmodels.api as sm

    random = np.random.default_rng(1)
    points = pd.DataFrame({"effect": random.random(30), "score": random.random(30)})
    at = np.array([0.0, 0.5, 1.2])
    fit = sm.OLS(points["score"], sm.add_constant(points["effect"])).fit()
    expected = fit.get_prediction(sm.add_constant(at)).summary_frame()
    line, low, high = figure_4.fitted_line(points, at)
    np.testing.assert_allclose(line, expected["mean"])
    np.testing.assert_allclose(low, expected["mean_ci_lower"])
    np.testing.assert_allclose(high, expected["mean_ci_upper"])
    assert figure_4.fitted_line(points.assign(effect=0.5), at) is None


def test_bars_hold_every_cell_and_both_windows(folder, tmp_path):
    frame = make_figure(figure_6, folder, tmp_path, ["regressions"])
    assert len(frame) == 20
    assert set(frame["window"]) == {3}
    assert set(make_figure(figure_6, folder, tmp_path, ["regressions"], shown="wide")["window"]) == {5}
    second = make_figure(figure_6, folder, tmp_path, ["regressions"], problems=["fact_forcing"])
    assert set(second["problem"]) == {"fact_forcing"}


def test_means_by_layer_and_window(folder, tmp_path):
    scores = ["overall_score", "overall_with_essence"]
    frame = make_figure(figure_7, folder, tmp_path, ["means"], problem="error_injection", scores=scores)
    assert len(frame) == len(EDITORS) * len(LAYERS) * 2
    assert (frame["low"] <= frame["value"]).all()
    windows = make_figure(figure_10, folder, tmp_path, ["windows"])
    assert sorted(windows["window"].unique()) == [1, 3, 5]


def test_records_without_the_wanted_rows_are_refused(folder):
    from papers.localization.items.chosen import select

    with pytest.raises(DataError, match="no record has"):
        select(pd.DataFrame({"problem": ["a"]}), {"problem": "b"})


def test_the_claims_can_be_checked(folder, tmp_path):
    for name in ("table_1", "table_3"):
        make_table(globals()[name], folder, tmp_path)
        (tmp_path / "made.csv").rename(tmp_path / f"{name}.csv")
    verdicts = judge("localization", read_claims(FOLDER / "claims.yaml"), tmp_path)
    said = {verdict.claim.id: verdict.verdict for verdict in verdicts}
    assert said["L1a"] == "HOLDS"
    assert all(verdict in {"HOLDS", "FAILS", "NOT_RUN"} for verdict in said.values())
