import pytest

from shared.errors import DataError
from shared.report import tables
from shared.report.layouts import Column, Layout, number, write_table
from shared.report.tables import Cell, Comparison, Reported

METRICS = {"none": (22.2, 78.1), "rome": (100.0, 75.4), "ft": (99.0, 40.4)}


def reported():
    for method, (efficacy, neighborhood) in METRICS.items():
        for metric, value in (("efficacy_score", efficacy), ("neighborhood_score", neighborhood)):
            where = ("table_4", "gpt2-xl", method, "counterfact", metric)
            yield Reported(*where, value, 0.5, 7500, "percent", "Table 4", "")


def cell(method, metric, value, model="world-small", **more):
    return Cell(model, method, "counterfact", metric, value, value - 1, value + 1, 50, **more)


def table(cells, **how):
    how = {"stands_for": {"world-small": "gpt2-xl"}} | how
    return tables.compare("table_4", cells, list(reported()), Comparison(**how))


def status(frame, method, metric):
    rows = frame[(frame["method"] == method) & (frame["metric"] == metric)]
    assert len(rows) == 1
    return rows.iloc[0]["status"]


def test_directions_are_judged_from_the_unedited_model():
    frame = table(
        [
            cell("none", "efficacy_score", 5.0),
            cell("rome", "efficacy_score", 99.0),
            cell("none", "neighborhood_score", 95.0),
            cell("rome", "neighborhood_score", 99.0),
        ]
    )
    assert status(frame, "rome", "efficacy_score") == tables.SAME_DIRECTION
    assert status(frame, "rome", "neighborhood_score") == tables.OPPOSITE
    assert status(frame, "none", "efficacy_score") == tables.NO_REFERENCE
    assert status(frame, "ft", "efficacy_score") == tables.NOT_RUN
    note = frame[(frame["method"] == "rome") & (frame["metric"] == "neighborhood_score")].iloc[0]["note"]
    assert note == "from the unedited model, paper: down; here: up"


def test_a_change_within_its_intervals_is_unresolved():
    frame = table([cell("none", "neighborhood_score", 95.0), cell("rome", "neighborhood_score", 94.9)])
    assert status(frame, "rome", "neighborhood_score") == tables.UNRESOLVED
    rows = frame[(frame["method"] == "rome") & (frame["metric"] == "neighborhood_score")]
    assert rows.iloc[0]["note"] == "from the unedited model, paper: down; here: no change beyond the intervals"


def test_numbers_are_judged_only_on_the_papers_own_models():
    how = {"stands_for": {"gpt2-xl": "gpt2-xl"}, "exact": True, "tolerance": {"neighborhood_score": 1.5}}
    frame = table(
        [
            cell("rome", "efficacy_score", 99.4, "gpt2-xl"),
            cell("ft", "efficacy_score", 90.0, "gpt2-xl", deviation="D3"),
            cell("rome", "neighborhood_score", 76.8, "gpt2-xl"),
        ],
        **how,
    )
    assert status(frame, "rome", "efficacy_score") == tables.REPRODUCED
    assert status(frame, "rome", "neighborhood_score") == tables.REPRODUCED
    assert status(frame, "ft", "efficacy_score") == tables.DEVIATES
    assert "D3" in frame[(frame["method"] == "ft")].iloc[0]["note"]


def test_nothing_is_lost_or_filled_in():
    frame = table([cell("memit", "efficacy_score", 98.0), cell("rome", "efficacy_score", 99.0, "world-large")])
    assert len(frame) == 6 + 2
    assert status(frame, "memit", "efficacy_score") == tables.NO_REFERENCE
    not_run = frame[frame["status"] == tables.NOT_RUN]
    assert (not_run["value"] == "").all()
    assert (not_run["paper_value"] != "").all()


def test_files_round_trip_and_are_byte_stable(tmp_path):
    frame = table([cell("rome", "efficacy_score", 99.0)])
    for name in ("a", "b"):
        tables.write_csv(frame, tmp_path / f"{name}.csv")
        columns = [Column("efficacy_score", "ES"), Column("score", "S")]
        layout = Layout("Table 4 <CounterFact>", columns, notes=["Laptop."])
        write_table(frame, layout, markdown=tmp_path / f"{name}.md", page=tmp_path / f"{name}.html")
    for kind in ("csv", "md", "html"):
        assert (tmp_path / f"a.{kind}").read_bytes() == (tmp_path / f"b.{kind}").read_bytes()
    back = tables.read_csv(tmp_path / "a.csv")
    assert list(back["status"]) == list(frame["status"])
    assert back[back["method"] == "rome"].iloc[0]["value"] == 99.0
    page = (tmp_path / "a.html").read_text()
    assert "Table 4 &lt;CounterFact&gt;" in page
    assert "NOT_RUN" in page
    assert "98.0, 100.0" in page
    assert "paper 100.0" in (tmp_path / "a.md").read_text()


def test_a_faulty_reported_file_names_its_line(tmp_path):
    path = tmp_path / "reported.csv"
    head = ",".join(tables.REPORTED_COLUMNS)
    path.write_text(f"{head}\ntable_4,gpt2-xl,rome,counterfact,score,89.2,,7500,percent,Table 4,\n")
    assert tables.read_reported(path, "table_4")[0].value == 89.2
    path.write_text(f"{head}\ntable_4,gpt2-xl,rome,counterfact,score,high,,7500,percent,Table 4,\n")
    with pytest.raises(DataError, match="reported.csv, line 2: value"):
        tables.read_reported(path)
    path.write_text(f"{head}\ntable_4,gpt2-xl,rome,counterfact,score,89.2,,7500,percent,,\n")
    with pytest.raises(DataError, match="line 2: a number of the paper needs"):
        tables.read_reported(path)
    path.write_text("item,value\n")
    with pytest.raises(DataError, match="columns are"):
        tables.read_reported(path)


def test_numbers_print_with_true_minus_and_no_negative_zero():
    assert [number(value, 1) for value in (-4.84, -0.01, 3.0, None, "")] == ["−4.8", "0.0", "3.0", "—", "—"]
