import json
import subprocess
import time

import pytest

from shared.errors import DataError
from shared.records import read_json
from shared.report import run_record


def test_a_record_says_what_ran_where_and_at_what_cost():
    record = run_record.run_record({"layer": 3}, started=time.monotonic() - 2)
    assert record["settings"] == {"layer": 3}
    assert record["versions"]["torch"]
    assert 2 <= record["seconds"] < 10
    assert record["peak_resident_bytes"] > 10**7
    assert record["device"] == "cpu"


def test_no_commit_outside_of_a_checkout(tmp_path):
    assert run_record.git_commit(tmp_path) is None


def test_figures_that_a_run_writes_are_no_changes(tmp_path):
    (tmp_path / "figures").mkdir()
    for name in ("figures/table.md", "code.py"):
        (tmp_path / name).write_text("1")
    git = ["git", "-C", str(tmp_path), "-c", "user.name=A", "-c", "user.email=a@example.org"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "first"]):
        subprocess.run([*git, *words], check=True)
    clean = run_record.git_commit(tmp_path)
    (tmp_path / "figures/table.md").write_text("2")
    assert run_record.git_commit(tmp_path) == clean
    (tmp_path / "code.py").write_text("2")
    assert run_record.git_commit(tmp_path) == f"{clean}+changes"


def test_job_costs_count_each_job_once(tmp_path):
    (tmp_path / "rome").mkdir()
    (tmp_path / "rome/edit.jsonl").write_text('{"s": 9.0, "max_rss": 10}\n{"s": 2.5, "max_rss": 300.5}\n')
    (tmp_path / "table.jsonl").write_text('{"s": 1.0, "max_rss": "NA"}\n')
    settings = json.dumps({"run": {"device": "cpu"}})
    run_record.main(["--settings", settings, "--benchmarks", str(tmp_path), "--out", str(tmp_path / "RUN.json")])
    record = read_json(tmp_path / "RUN.json")
    assert (record["jobs"], record["job_seconds"], record["peak_job_mib"]) == (2, 3.5, 300.5)
    (tmp_path / "table.jsonl").write_text("")
    with pytest.raises(DataError, match="table.jsonl: not a benchmark"):
        run_record.job_costs(tmp_path)
