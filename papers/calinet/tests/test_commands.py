"""The programs: the command line for one's own statements, and the one that the workflow calls."""

import json

import pandas as pd
import pytest

from papers.calinet.__main__ import main
from papers.calinet.calibrate_facts import main as calibrate_facts
from papers.calinet.tests.world import small_book
from shared.provenance import REPOSITORY

MODEL = str(REPOSITORY / "tests/golden/model")


def test_statements_are_scored_and_calibrated(tmp_path, capsys):
    path = tmp_path / "mine.jsonl"
    lines = [
        {
            "prompt": "The capital of France is",
            "object": "Rome",
            "contrasts": ["France borders"],
            "also": ["France's capital,"],
        },
        {"prompt": "The capital of Italy is", "object": "Paris", "contrasts": ["Italy borders"]},
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    common = ["--model", MODEL, "--statements", str(path)]
    assert main(["assess", *common]) == 0
    assert "of 2 statements count as false" in capsys.readouterr().out
    out = tmp_path / "slots.safetensors"
    assert main(["calibrate", *common, "--slots", "4", "--steps", "20", "--out", str(out)]) == 0
    assert out.is_file()
    assert "4 slots in layer" in capsys.readouterr().out
    path.write_text('{"prompt": "a"}\n')
    assert main(["assess", *common]) == 1
    assert "line 1: object" in capsys.readouterr().err


def test_the_program_writes_what_the_items_read(tmp_path):
    book = tmp_path / "facts.json"
    small_book().save(book)
    (tmp_path / "texts.txt").write_text("one two three four\nfive six seven eight\n")
    models = {
        "vanilla": {"method": "vanilla", "facts": 4},
        "slots": {"method": "calinet", "facts": 4, "slots": 4, "steps": 3, "read": True},
        "cp": {"method": "cp", "facts": 4, "steps": 2},
    }
    common = ["--model", MODEL, "--facts", str(book), "--texts", str(tmp_path / "texts.txt"), "--out", str(tmp_path)]
    study = json.dumps({"texts": 2, "length": 4, "shown": 2})
    questions = {
        "train": 2,
        "dev": 8,
        "tuning": {"steps": 2, "rows": 2},
        "methods": {"vanilla": {}, "calinet": {"method": "calinet", "slots": 2, "steps": 2}},
    }
    told = ["--calibrations", json.dumps(models), "--questions", json.dumps(questions)]
    calibrate_facts([*common, "--study", study, *told])
    said = pd.read_csv(tmp_path / "facts.csv")
    assert said.groupby("model").size().to_dict() == {"vanilla": 4, "slots": 4, "cp": 4}
    assert len(pd.read_csv(tmp_path / "texts.csv")) == 6
    assert set(pd.read_csv(tmp_path / "slots.csv")["kind"]) == {"trained", "untrained"}
    assert pd.read_csv(tmp_path / "shift.csv")["slots"].tolist() == [0, 2, 4]
    with pytest.raises(SystemExit):
        calibrate_facts([*common, "--study", study, "--calibrations", '{"a": {"method": "x", "facts": 2}}'])
