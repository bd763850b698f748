"""The grid equals the one-at-a-time oracle, whatever is computed together, and the programs work as one chain."""

import json
import math

import pandas as pd
import pytest

from papers.localization import editing, effects, measure, selection, tracing
from papers.localization.editing import Grid, edit_facts, editor_maker
from papers.localization.modes import MODES
from papers.localization.probes import ProbeSettings
from papers.localization.problems import PROBLEMS, request_for
from papers.localization.tests import golden
from papers.localization.tests.oracle import edit_and_ask_one, rome_one, tune_one
from shared.editing.edit_cases import import_methods
from shared.errors import ConfigError, DataError
from shared.fit.optimise import VectorSettings
from shared.records import read_jsonl, write_jsonl

PAPER = MODES["as_paper"]
KINDS = ("rewrite", "paraphrase", "neighborhood")
TUNING = {"lr": 5e-3, "norm_constraint": 1e-2, "n_steps": 4}


def _rows(method, settings, key, layers, window=1, *, batch=25, cases=2):
    import_methods(["papers.localization.tuning", "papers.rome.editor", "papers.memit.editor"], [method])
    problem = PROBLEMS[key]
    make = editor_maker(method, settings, problem, PAPER, golden.NOISE, moments=golden.moments())
    grid = Grid(method, problem, layers, window, make, edit_batch=batch)
    settings = ProbeSettings(PAPER, golden.NOISE)
    return list(edit_facts(golden.model(), golden.cases()[:cases], golden.facts(), grid, settings))


def _answers(row):
    return [math.log(value) for phase in ("after", "before") for kind in KINDS for value in row[phase][kind]]


@pytest.mark.parametrize("key", ["error_injection", "fact_erasure"])
def test_the_grid_equals_editing_one_at_a_time(key):
    lm, contexts = golden.model(), golden.contexts("rome")[:4]
    problem, inverse = PROBLEMS[key], {layer: golden.moments().moment(layer).inverse().float() for layer in (1, 3)}
    erasing = problem.objective == "minimise"
    search = VectorSettings(n_steps=4, stop_below=0.0, update_last=erasing)
    rome = _rows("rome", {"stop_below": 0, "n_steps": 4, "contexts": contexts}, key, [1, 3])
    tuned = _rows("window_ft", TUNING, key, [2], window=3)
    for row in [*rome, *tuned]:
        case = next(case for case in golden.cases() if case.case_id == row["case_id"])
        request = request_for(problem, case)
        if row["editor"] == "rome":
            layer = row["layer"]
            edit = rome_one(lm, request, contexts, layer, search, inverse[layer], problem.objective)
        else:
            edit = tune_one(lm, request, [1, 2, 3], lr=5e-3, bound=1e-2, n_steps=4, erase=erasing)
        expected = edit_and_ask_one(lm, case, edit, request.target_new, case.request.target_true)
        assert _answers(row) == pytest.approx(expected, abs=5e-3, rel=1e-3)


def test_what_is_computed_together_does_not_matter():
    whole = _rows("window_ft", TUNING, "fact_forcing", [0, 4], cases=4)
    small = _rows("window_ft", TUNING, "fact_forcing", [0, 4], batch=1, cases=4)
    assert [(row["layer"], row["case_id"]) for row in whole] == [(layer, c) for layer in (0, 4) for c in golden.CASES]
    for one, other in zip(whole, small, strict=True):
        assert _answers(one) == pytest.approx(_answers(other), abs=2e-3)
    alone = _rows("window_ft", TUNING, "fact_forcing", [0, 4], cases=1)
    assert _answers(alone[0]) == pytest.approx(_answers(whole[0]), abs=2e-3)


@pytest.mark.parametrize(
    ("method", "settings", "window"),
    [("rome", {}, 1), ("memit", {"update_weight": 1}, 3), ("window_ft", {"lr": 5e-3, "copies": 3}, 3)],
)
def test_forcing_brings_facts_back_whatever_is_edited_together(method, settings, window):
    if method != "window_ft":
        settings |= {"stop_below": 0, "contexts": golden.contexts("rome")[:3]}
    settings |= {"n_steps": 8}
    whole = _rows(method, settings, "fact_forcing", [2] if method == "memit" else [3], window, cases=4)
    small = _rows(method, settings, "fact_forcing", [2] if method == "memit" else [3], window, batch=1, cases=4)
    assert sum(row["after"]["rewrite"][0] > row["before"]["rewrite"][0] for row in whole) >= 3
    for one, other in zip(whole, small, strict=True):
        assert _answers(one) == pytest.approx(_answers(other), abs=5e-3)


def test_settings_that_a_method_does_not_take_are_refused():
    with pytest.raises(ConfigError, match="'window_ft' does not take these settings"):
        _rows("window_ft", {"kl_factor": 1.0}, "error_injection", [1])


def _program(main, folder, words, name="out"):
    common = ["--model", golden.FOLDER / "model", "--cases", golden.FOLDER / "requests.json", "--noise", golden.NOISE]
    main([str(word) for word in [*common, *words, "--out", folder / f"{name}.jsonl"]])
    return folder / f"{name}.jsonl"


def test_the_programs_make_one_chain(tmp_path):
    facts = _program(selection.main, tmp_path, ["--first", 5, "--essence-texts", 1, "--essence-length", 12], "facts")
    asked = ["--first", 5, "--facts", facts]
    traces = _program(tracing.main, tmp_path, [*asked, "--windows", 1, 3, "--zeroed", 3], "traces")
    problems = {"error_injection": TUNING, "fact_forcing": TUNING | {"copies": 2}}
    words = [*asked, "--editor", "window_ft", "--label", "ft_1", "--problems", json.dumps(problems), "--layers", 1, 4]
    words += ["--essence-problems", "error_injection"]
    shards = [_program(editing.main, tmp_path, [*words, "--block", 2, "--shard", f"{n}-of-2"], f"{n}") for n in (1, 2)]
    paths = {name: tmp_path / f"{name}.csv" for name in ("long", "effects", "peaks", "means")}
    effects.main([str(word) for word in ["--traces", traces, *_options(paths)]])
    results = {name: tmp_path / f"{name}.csv" for name in ("scores", "regressions", "correlations")}
    results["means"] = tmp_path / "scores_by_layer.csv"
    windows = ["--effects", paths["effects"], "--window", 1, "--wide", 3]
    measure.main([str(word) for word in ["--edits", *shards, *windows, *_options(results)]])
    scores, compared = pd.read_csv(results["scores"]), pd.read_csv(results["regressions"])
    known = sum(fact["known"] for fact in read_jsonl(facts))
    assert len(scores) == known * 2 * 2
    assert scores[scores["problem"] == "error_injection"]["essence_score"].notna().all()
    assert scores[scores["problem"] == "fact_forcing"]["essence_score"].isna().all()
    assert set(compared["problem"]) == set(problems)
    assert set(compared["window"]) == {"1", "3", "zeroed"}
    assert compared[compared["score"] == "magnitude"]["problem"].tolist() == ["error_injection"]
    correlations = pd.read_csv(results["correlations"])
    assert set(correlations["layer"]) == {1, 4}


def _options(paths):
    return [word for name, path in paths.items() for word in (f"--{name}", path)]


def test_facts_that_cannot_be_used_end_a_program_with_a_message(tmp_path, caplog):
    fact = {"case_id": 0, "subject": "s", "completion": "", "known": False, "probability": 0.5}
    write_jsonl(tmp_path / "facts.jsonl", [fact | {"noised_answer": "n", "essence": []}])
    words = ["--first", 2, "--facts", tmp_path / "facts.jsonl"]
    with pytest.raises(SystemExit):
        _program(tracing.main, tmp_path, words)
    assert "knows none of the facts" in caplog.text
    editor = ["--editor", "window_ft", "--layers", 1, "--problems", json.dumps({"error_injection": TUNING})]
    with pytest.raises(SystemExit):
        _program(editing.main, tmp_path, [*words, *editor])
    assert "none of the 1 facts can be edited" in caplog.text
    with pytest.raises(SystemExit):
        _program(editing.main, tmp_path, [*words, *editor[:3], 77, *editor[4:]])
    assert "--layers [77] do not exist" in caplog.text


def test_edits_twice_and_missing_windows_are_refused(tmp_path):
    row = {"case_id": 1, "problem": "error_injection", "editor": "rome", "layer": 0, "n_layers": 1}
    answers = {"rewrite": [0.5], "paraphrase": [0.5], "neighborhood": [0.5]}
    write_jsonl(tmp_path / "a.jsonl", [row | {"before": answers, "after": answers}])
    with pytest.raises(DataError, match="was edited twice"):
        measure.read_scores([tmp_path / "a.jsonl"] * 2, "as_paper")
    scores = measure.read_scores([tmp_path / "a.jsonl"], "as_paper")
    traced = pd.DataFrame({"case_id": [1], "window": ["5"], "layer": [0], "max_fraction_restored": [0.5]})
    with pytest.raises(DataError, match="no tracing effects with window 3; traced are 5"):
        measure.regressions(scores, traced, measure.analyses(3, 3, False))
    with pytest.raises(DataError, match="no edit has both"):
        measure.regressions(scores, traced.assign(case_id=2), measure.analyses(5, 5, False)[:1])
