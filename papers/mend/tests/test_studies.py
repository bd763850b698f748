import json

import pandas as pd
import pytest

from shared.learning.learn_editors import main
from shared.provenance import REPOSITORY
from shared.records import read_json, read_jsonl

MODULES = json.dumps(["transformer.h.5.mlp.c_proj", "transformer.h.5.mlp.c_fc"])
METHODS = [*("papers.mend.method", "papers.mend.tuning"), "papers.mend.cache"]
TRAINING = {"steps": 2, "edits_per_step": 2, "validate_every": 1, "validation_edits": 2, "lr": 1e-4}
VARIANTS = {
    "none": {"editor": "none"},
    "mend": {"editor": "mend", "rank": 8, "rate": 1e-3, "training": TRAINING},
    "mend_2": {"editor": "mend", "rank": 8, "rate": 1e-3, "training": TRAINING | {"n_edits": 2}},
    "ft": {"editor": "ft", "lr": 1e-3, "steps": 3},
    "cache": {"editor": "cache", "threshold": 0.1},
}


def run(command, folder, variants=VARIANTS):
    golden = REPOSITORY / "tests/golden"
    shared = ["--methods", *METHODS, "--model", str(golden / "model"), "--format", "counterfact"]
    data = ["--files", str(golden / "requests.json"), "--held-out", "5", "--validation", "4", "--modules", MODULES]
    places = ["--out", str(folder / "editors")]
    if command == "test":
        places = [
            "--editors",
            str(folder / "editors"),
            "--edits",
            "4",
            "--anchors",
            "2",
            "--out",
            str(folder / "r.jsonl"),
        ]
    main([command, *shared, *data, "--variants", json.dumps(variants), *places])


def test_a_study_is_trained_and_tested_from_the_command_line(tmp_path):
    run("train", tmp_path)
    assert sorted(path.name for path in (tmp_path / "editors").glob("*.safetensors")) == [
        "mend.safetensors",
        "mend_2.safetensors",
    ]
    assert [entry["step"] for entry in read_json(tmp_path / "editors/mend.json")["history"]] == [0, 1, 2]
    first = (tmp_path / "editors/mend.safetensors").read_bytes()
    run("train", tmp_path)  # every training is finished, and continued at its end
    assert (tmp_path / "editors/mend.safetensors").read_bytes() == first
    run("test", tmp_path)
    rows = list(read_jsonl(tmp_path / "r.jsonl"))
    assert {row["editor"] for row in rows} == set(VARIANTS)
    assert {row["edits"] for row in rows if row["editor"] == "mend_2"} == {2}
    summary = pd.read_csv(tmp_path / "summary.csv", keep_default_na=False)
    none = summary[(summary["editor"] == "none") & (summary["metric"] == "accuracy_drawdown")]["mean"].astype(float)
    assert none.tolist() == [0.0]


def test_an_unknown_editor_ends_the_program(tmp_path, caplog):
    with pytest.raises(SystemExit):
        run("train", tmp_path, {"rome": {"editor": "rome"}})
    assert "editor 'rome' is unknown" in caplog.text
