"""Tables and figures from small files written by hand, and the claims that read them."""

import json
import math
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from papers.survey.contract import COST_COLUMNS, METHODS, METRIC_COLUMNS, METRICS, SEQUENCE_COLUMNS
from papers.survey.items import (
    figure_batches,
    figure_memory,
    figure_norms,
    figure_sequences,
    figure_specificity_plus,
    table_counterfact,
    table_generation,
    table_later,
    table_locality,
    table_memory,
    table_methods,
    table_portability,
    table_protocols,
    table_rankings,
    table_seconds,
    table_specificity_plus,
    table_zsre,
)
from papers.survey.items.results import KNOWN, in_protocol, metrics_of
from shared.errors import DataError
from shared.report.claims import judge, read_claims
from shared.report.item_command import Drawing, Request, Table, write_item
from shared.report.make_items import main as make_items
from shared.report.overview import read_items
from shared.report.tables import NO_REFERENCE, NOT_RUN, SAME_DIRECTION, read_csv, read_reported

ROOM = Path(__file__).resolve().parent.parent
REPORTED = ROOM / "reported.csv"
ITEMS = [name for name, item in read_items(ROOM / "items.yaml").items() if not item.out_of_reach]
# What the claims below read, and one figure.
CLAIMED = ["table_counterfact", "table_generation", "figure_memory"]
SETTINGS = {"stands_for": {"ours": "gpt-j", "asked": "t5-xl"}, "exact": False, "scale": "laptop"}
LEVELS = {"none": 20.0, "ft_l": 60.0, "mend": 80.0, "rome": 99.0, "memit": 95.0, "serac": 97.0}


def line(editor, protocol, scorer, metric, mean, form="counterfact"):
    return [form, editor, protocol, scorer, metric, 40, mean, mean - 2, mean + 2]


def measurements(levels=LEVELS):
    """Return every metric of a few editors: free answers at half of the forced ones, decay by sequences and batches."""
    lines = []
    for form in ("counterfact", "zsre"):
        for editor, level in levels.items():
            for metric in METRICS:
                lines.append(line(editor, "single", "survey", metric, level, form))
                lines.append(line(editor, "single", "wild", metric, level / 2, form))
            for metric, share in {"ES": 1.0, "PS": 0.9, "NS": 0.8, "NM": 0.01}.items():
                lines.append(line(editor, "single", "rome", metric, share * level, form))
            for metric, share in {"NS": 0.8, "NS+": 0.4, "NM": 0.01, "NM+": -0.01, "NKL": 0.0, "NKL+": 0.1}.items():
                lines.append(line(editor, "single", "plus", metric, share * level, form))
        for metric in ("reliability", "generalization", "locality"):
            lines += [line("memit", f"batch:{size}", "survey", metric, 95.0 - size, form) for size in (10, 30)]
            for editor, moment, fall in (
                ("rome", "checkpoint", 4),
                ("rome", "immediate", 0),
                ("serac", "checkpoint", 0),
            ):
                protocols = {edits: f"sequence:{edits}:{moment}" for edits in (1, 10)}
                level = levels.get(editor, 0)
                lines += [
                    line(editor, name, "survey", metric, level - fall * edits, form)
                    for edits, name in protocols.items()
                ]
    return pd.DataFrame(lines, columns=METRIC_COLUMNS)


def costs():
    lines = [
        [form, editor, "single", seconds, 500.0, training, more]
        for form in ("counterfact", "zsre")
        for editor, seconds, training, more in (("rome", 2.0, None, None), ("mend", 0.1, 60.0, 800.0))
    ]
    return pd.DataFrame(lines, columns=COST_COLUMNS)


def curves():
    lines = [
        [form, editor, edits, growth * edits, growth, 3.0, int(editor == "rome" and edits == 3)]
        for form in ("counterfact", "zsre")
        for editor, growth in (("rome", 0.1), ("serac", 0.0))
        for edits in (1, 2, 3)
    ]
    return pd.DataFrame(lines, columns=SEQUENCE_COLUMNS)


def write(folder, kind, model, frame):
    path = folder / kind / f"{model}.csv"
    path.parent.mkdir(exist_ok=True)
    frame.to_csv(path, index=False)
    return path


@pytest.fixture
def request_of(tmp_path):
    """Return a function that makes a request: all kinds of files of the model `ours`, as far as they are given."""

    def make(metrics=None, cost=None, curve=None, models=("ours",)):
        given = {"metrics": metrics, "costs": cost, "sequences": curve}
        found = [
            (model, write(tmp_path, kind, model, frame))
            for kind, frame in given.items()
            if frame is not None
            for model in models
        ]
        return Request([model for model, _ in found], [path for _, path in found], SETTINGS, REPORTED)

    return make


@pytest.fixture
def whole(request_of):
    return request_of(measurements(), costs(), curves())


def row_of(table, **wanted):
    chosen = table.frame
    for column, value in wanted.items():
        chosen = chosen[chosen[column] == value]
    assert len(chosen) == 1
    return chosen.iloc[0]


def test_every_item_has_a_script_and_a_caption_and_its_numbers_belong_to_one():
    for name in ITEMS:
        assert (ROOM / "items" / f"{name}.py").is_file()
        assert (ROOM / "items" / f"{name}.rst").read_text().strip()
    assert {row.item for row in read_reported(REPORTED)} <= set(ITEMS)
    assert {path.stem for path in (ROOM / "items").glob("*.rst")} == set(ITEMS)


def test_main_tables_stand_beside_the_papers(whole):
    table = table_counterfact.make(whole)
    rome = row_of(table, model="ours", method="rome", metric="reliability")
    assert (rome["value"], rome["paper_value"], rome["n"]) == (99.0, 99.8, 40)
    mend = row_of(table, model="ours", method="mend", metric="locality")
    assert (mend["paper_value"], mend["status"]) == (93.75, SAME_DIRECTION)
    assert row_of(table, model="ours", method="none", metric="reliability")["status"] == NO_REFERENCE
    methods = list(dict.fromkeys(table.frame[table.frame["model"] == "ours"]["method"]))
    assert methods == list(METHODS)
    zsre = table_zsre.make(whole)
    assert row_of(zsre, model="ours", method="rome", metric="locality")["paper_value"] == 99.19


def test_what_was_not_run_says_so_row_by_row(whole):
    table = table_counterfact.make(whole)
    assert row_of(table, model="ours", method="kn", metric="reliability")["status"] == NOT_RUN
    assert row_of(table, model="ours", method="prompt", metric="reliability")["status"] == NOT_RUN
    assert (table.frame[table.frame["model"] == "t5-xl"]["status"] == NOT_RUN).all()
    protocols = table_protocols.make(whole)
    assert row_of(protocols, method="mend", metric="edit_batch")["status"] == NOT_RUN
    assert row_of(protocols, method="memit", metric="edit_batch")["value"] == 65.0
    assert row_of(protocols, method="rome", metric="edit_immediate")["value"] == 99.0
    assert row_of(protocols, method="rome", metric="edit_final")["status"] == NOT_RUN
    methods = table_methods.make(whole).frame.set_index("method")
    assert methods.loc["ROME", "ours: size of an edit"] == "0.1000"
    assert methods.loc["SERAC", "ours: size of an edit"] == "0.0000"
    assert methods.loc["MEND", "ours: size of an edit"] == NOT_RUN
    assert methods.loc["MEND", "ours: trained, s"] == "60.0"
    assert methods.loc["ROME", "ours: trained, s"] == ""
    assert methods.loc["MEMIT", "ours: largest batch"] == "30"


def test_portability_and_locality_have_the_rows_that_the_paper_lacks(whole):
    table = table_portability.make(whole)
    assert row_of(table, model="ours", method="none", metric="zsre_portability_one_hop")["value"] == 20.0
    assert row_of(table, model="ours", method="rome", metric="zsre_portability_one_hop")["paper_value"] == 50.91
    assert row_of(table, model="gpt-neox-20b", method="ike", metric="zsre_portability_inverse")["status"] == NOT_RUN
    table = table_locality.make(whole)
    task = row_of(table, model="ours", method="serac", metric="counterfact_locality_other_task")
    assert (task["value"], task["paper_value"]) == (97.0, 74.84)


def test_costs(whole):
    table = table_seconds.make(whole)
    mend = row_of(table, model="ours", method="mend", metric="zsre_seconds_per_edit")
    assert (mend["value"], mend["paper_value"], mend["status"]) == (0.1, 0.52, SAME_DIRECTION)
    assert row_of(table, model="ours", method="rome", metric="zsre_training_seconds")["status"] == NOT_RUN
    memory = table_memory.make(whole)
    assert math.isclose(row_of(memory, model="ours", method="mend", metric="training_peak")["value"], 0.8388608)
    drawn = figure_memory.make(whole).data.set_index("editor")
    assert drawn.loc["mend", "training_peak_mib"] == 800.0
    assert math.isnan(drawn.loc["rome", "training_peak_mib"])


def test_other_peoples_tables(whole):
    later = table_later.make(whole)
    assert row_of(later, model="ours", method="rome", metric="locality")["paper_value"] == 99.63
    assert row_of(later, model="ours", method="none", metric="portability_one_hop")["paper_value"] == 56.7
    table = table_generation.make(whole)
    free = row_of(table, model="ours", method="mend", metric="zsre_reliability_wild")
    assert (free["value"], free["paper_value"]) == (40.0, 28.8)
    assert row_of(table, model="llama-3-8b", method="rome", metric="zsre_reliability_wild")["paper_value"] == 82.0
    plus = table_specificity_plus.make(whole)
    own = row_of(plus, model="ours", method="rome", metric="NS+")
    assert (own["paper_value"], own["model"]) == (32.8, plus.frame["model"].iloc[0])


def test_rankings_compare_orders():
    assert table_rankings.kendall({"a": 3, "b": 2, "c": 1}, {"a": 30, "b": 20, "c": 10}) == 1
    assert table_rankings.kendall({"a": 3, "b": 2, "c": 1}, {"a": 1, "b": 2, "c": 3}) == -1
    assert math.isclose(table_rankings.kendall({"a": 2, "b": 2, "c": 1}, {"a": 3, "b": 2, "c": 1}), 2 / math.sqrt(6))
    assert math.isnan(table_rankings.kendall({"a": 1, "b": 1}, {"a": 1, "b": 2}))
    assert table_rankings.ranking({"rome": 99.0, "ft": 3.0, "mend": 99.0}) == "ROME 99.0 = MEND 99.0 > FT 3.0"


def test_rankings_of_a_run(whole):
    frame = table_rankings.make(whole).frame
    own = frame[frame["form"] == "counterfact"].set_index("measure")
    assert own.loc["edit, forced", "ranking"].startswith("ROME 99.0 > SERAC 97.0")
    assert own.loc["edit, free", "tau"] == 1
    assert "unedited" not in own.loc["edit, forced", "ranking"]
    assert "edit, largest batch" not in own.index


def test_curves_of_batches_sequences_and_norms(whole):
    batches = figure_batches.make(whole).data
    own = batches[(batches["metric"] == "reliability") & (batches["form"] == "zsre")]
    assert dict(zip(own["edits"], own["value"], strict=True)) == {1: 95.0, 10: 85.0, 30: 65.0}
    sequences = figure_sequences.make(whole).data
    own = sequences[(sequences["editor"] == "rome") & (sequences["edits"] == 10) & (sequences["form"] == "zsre")]
    assert set(zip(own["moment"], own["value"], strict=True)) == {("checkpoint", 59.0), ("immediate", 99.0)}
    norms = figure_norms.make(whole).data
    assert norms[norms["disabled"] == 1]["edits"].tolist() == [3, 3]
    bars = figure_specificity_plus.make(whole).data.set_index(["editor", "metric"])
    assert bars.loc[("rome", "NS+"), "reported"] == 32.8
    assert math.isnan(bars.loc[("serac", "NS+"), "reported"])


def test_everything_is_made_from_whatever_there_is(tmp_path, request_of):
    single = measurements({"none": 20.0})
    few = request_of(single[single["protocol"] == "single"])
    for request in (few, Request([], [], SETTINGS, REPORTED)):
        for name in ITEMS:
            made = __import__(f"papers.survey.items.{name}", fromlist=["make"]).make(request)
            if isinstance(made, Drawing):
                plt.close(made.figure)
                continue
            write_item(made, tmp_path, name)
            if isinstance(made, Table):
                assert len(read_csv(tmp_path / f"{name}.csv")) == len(made.frame)


def test_a_missing_file_a_missing_column_and_an_unknown_name_are_refused(tmp_path, request_of):
    with pytest.raises(DataError, match="no such file"):
        metrics_of(Request(["ours"], [tmp_path / "metrics/ours.csv"], SETTINGS))
    with pytest.raises(DataError, match="scorer"):
        metrics_of(request_of(measurements().drop(columns="scorer")))
    wrong = pd.DataFrame([line("rome", "single", "survey", "reliabilty", 9.0)], columns=METRIC_COLUMNS)
    with pytest.raises(DataError, match="reliabilty"):
        table_zsre.make(request_of(wrong))
    wrong = pd.DataFrame([line("rome", "sequence:5:later", "survey", "locality", 9.0)], columns=METRIC_COLUMNS)
    with pytest.raises(DataError, match="later"):
        table_protocols.make(request_of(wrong))


def test_protocols_are_taken_apart():
    lines = [line("rome", name, "survey", "locality", 9.0) for name in ("single", "batch:30", "sequence:5:final")]
    parts = in_protocol(pd.DataFrame(lines, columns=METRIC_COLUMNS))
    assert list(zip(parts["kind"], parts["edits"], parts["moment"], strict=True)) == [
        ("single", 1, ""),
        ("batch", 30, ""),
        ("sequence", 5, "final"),
    ]
    assert {"reliability", "S", "NS+"} <= KNOWN


def made_items(folder, request):
    files = {"models": list(request.models), "inputs": [str(path) for path in request.inputs]}
    words = ["--package", "papers.survey.items", "--items", json.dumps(dict.fromkeys(CLAIMED, files))]
    words += ["--settings", json.dumps(SETTINGS), "--reported", str(REPORTED), "--folder", str(folder)]
    make_items(words)


def test_claims_can_hold_and_fail(tmp_path, whole, request_of):
    claims = read_claims(ROOM / "claims.yaml")
    made_items(tmp_path / "one", whole)
    found = {verdict.claim.id: verdict.verdict for verdict in judge("survey", claims, tmp_path / "one")}
    assert found["E1a"] == "HOLDS"
    assert found["E1d"] == NOT_RUN
    assert found["F1a"] == "HOLDS"
    worse = measurements(LEVELS | {"rome": 10.0})
    made_items(tmp_path / "two", request_of(worse, costs(), curves()))
    found = {verdict.claim.id: verdict.verdict for verdict in judge("survey", claims, tmp_path / "two")}
    assert found["E1a"] == "FAILS"
