import pandas as pd
import pytest

from shared.errors import ConfigError
from shared.report import claims
from shared.report.tables import Cell, Comparison, compare, write_csv

SCORES = {("world-small", "rome"): 95.0, ("world-small", "ft"): 60.0, ("world-large", "rome"): 70.0}


@pytest.fixture
def figures(tmp_path):
    cells = [Cell(model, method, "counterfact", "score", value, value - 3, value + 3, 200)
             for (model, method), value in SCORES.items()]  # fmt: skip
    cells.append(Cell("world-large", "ft", "counterfact", "score", 72.0, 69.0, 75.0, 200))
    (tmp_path / "rome").mkdir()
    write_csv(compare("table_4", cells, [], Comparison(stands_for={})), tmp_path / "rome/table_4.csv")
    sweep = pd.DataFrame({"model": "world-small", "layer": range(5), "value": [0.1, 0.5, 0.9, 0.3, 0.0]})
    sweep.to_csv(tmp_path / "rome/figure_5.csv", index=False)
    return tmp_path


def judged(figures, check, **more):
    entry = {"id": "C1", "text": "t", "paper": {"source": "Table 4"}, "check": check, "note": "why"} | more
    return claims.judge("rome", [claims.Claim.model_validate(entry)], figures / "rome")


def select(**where):
    return {"table": "table_4", "where": {"metric": "score"} | where}


def test_each_model_gets_its_own_verdict(figures):
    found = judged(figures, {"kind": "greater", "left": select(method="rome"), "right": select(method="ft")})
    assert [(v.model, v.verdict) for v in found] == [("world-small", "HOLDS"), ("world-large", "FAILS")]
    assert found[0].ours == "95.00 [92.00, 98.00] > 60.00 [57.00, 63.00]"
    assert (found[0].remark, found[1].remark) == ("", "the two intervals overlap")


@pytest.mark.parametrize(
    ("check", "verdict"),
    [
        ({"kind": "greater", "left": select(method="rome"), "right": 50.0}, "HOLDS"),
        ({"kind": "greater", "left": select(method="rome"), "right": select(method="ft"), "margin": 40}, "FAILS"),
        ({"kind": "less", "left": select(method="ft"), "right": select(method="rome")}, "HOLDS"),
        (
            {"kind": "ratio_at_least", "left": select(method="rome"), "right": select(method="ft"), "margin": 1.5},
            "HOLDS",
        ),
        (
            {"kind": "ratio_at_least", "left": select(method="rome"), "right": select(method="ft"), "margin": 1.6},
            "FAILS",
        ),
        ({"kind": "within", "left": select(method="rome"), "right": 94.0, "margin": 1.0}, "HOLDS"),
        ({"kind": "within", "left": select(method="rome"), "right": 94.0, "margin": 0.5}, "FAILS"),
        ({"kind": "greater", "left": select(method="rome"), "right": select(method="memit")}, "NOT_RUN"),
        ({"kind": "greater", "left": select(method="memit"), "right": 1.0}, "NOT_RUN"),
        ({"kind": "greater", "left": {"table": "table_9"}, "right": 1.0}, "NOT_RUN"),
        ({"kind": "peak_in", "left": {"table": "figure_5"}, "low": 0.25, "high": 0.75}, "HOLDS"),
        ({"kind": "peak_in", "left": {"table": "figure_5"}, "low": 0.6, "high": 1.0}, "FAILS"),
        ({"kind": "greater", "left": select() | {"reduce": "max"}, "right": 94.0, "each": "all"}, "HOLDS"),
        ({"kind": "less", "left": select() | {"reduce": "min"}, "right": 59.0, "each": "all"}, "FAILS"),
        ({"kind": "within", "left": select() | {"reduce": "mean"}, "right": 74.25, "each": "all"}, "HOLDS"),
        (None, "NOT_RUN"),
    ],
)
def test_kinds_of_check(figures, check, verdict):
    assert judged(figures, check)[0].verdict == verdict


def test_a_selection_of_several_rows_is_no_number(figures):
    with pytest.raises(ConfigError, match="selects 2 rows"):
        judged(figures, {"kind": "greater", "left": select(), "right": 1.0})
    with pytest.raises(ConfigError, match="no column 'editor'"):
        judged(figures, {"kind": "greater", "left": select(editor="rome"), "right": 1.0})


def test_the_ledger_says_why_a_claim_fails(figures, tmp_path):
    check = {"kind": "greater", "left": select(method="rome"), "right": select(method="ft")}
    paper = {"source": "Table 4", "value": 89.2, "unit": "percent", "model": "gpt2-xl"}
    table = claims.ledger(judged(figures, check, paper=paper), "laptop")
    assert list(table["note"]) == ["", "the two intervals overlap; why"]
    assert set(table["paper_says"]) == {"89.2 percent (gpt2-xl) Table 4"}
    claims.write_ledger(table, csv=tmp_path / "c.csv", markdown=tmp_path / "c.md", page=tmp_path / "c.html")
    assert "1 HOLDS, 1 FAILS, 0 NOT_RUN" in (tmp_path / "c.md").read_text()
    assert '<span class="status FAILS">FAILS</span>' in (tmp_path / "c.html").read_text()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\n", "expected a list"),
        ("- {id: C1, text: t, paper: {source: T}, check: {kind: bigger}}\n", "claim C1: check"),
        ("- {id: C1, text: t, paper: {}, check: null}\n", "claim C1: paper.source"),
        ("- {text: t, paper: {source: T}, check: null}\n", "claim number 1: id"),
        ("- &c {id: C1, text: t, paper: {source: T}, check: null}\n- *c\n", r"\['C1'\] appear twice"),
    ],
)
def test_faulty_files_name_claim_and_field(tmp_path, text, message):
    (tmp_path / "claims.yaml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        claims.read_claims(tmp_path / "claims.yaml")


def test_the_command_line_reads_all_papers(figures, tmp_path):
    root = tmp_path / "papers/rome"
    root.mkdir(parents=True)
    (root / "claims.yaml").write_text(
        "- id: C6\n  text: t\n  paper: {source: Table 4}\n"
        "  check: {kind: greater, left: {table: table_4, where: {method: rome}}, right: 90}\n"
    )
    outputs = [f"--csv={tmp_path}/c.csv", f"--markdown={tmp_path}/c.md", f"--page={tmp_path}/c.html"]
    claims.main(
        ["--papers", "rome", "--root", str(root.parent), "--figures", str(figures), "--scale", "smoke", *outputs]
    )
    assert list(pd.read_csv(tmp_path / "c.csv")["verdict"]) == ["HOLDS", "FAILS"]
