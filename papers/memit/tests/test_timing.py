"""Timing: every method at every size, parts included, and an extrapolation that is said."""

import json

import pandas as pd
import pytest

from papers.memit import search, timing
from papers.memit.items.table_timing import at_target
from papers.memit.tests import golden
from shared.records import read_json, write_json

TIMED = {
    "memit": {"sizes": [1, 3], "settings": {"layers": [1, 2], "update_weight": 100, "n_steps": 2}},
    "ft_w": {"sizes": [2], "settings": {"layers": [2], "n_steps": 1}},
}


def _run(folder, timed, *further):
    golden.moments().save(folder / "moments.safetensors")
    write_json(folder / "contexts.json", golden.contexts())
    given = ["--methods", "papers.memit.editor", "papers.memit.baselines", "--model", golden.FOLDER / "model"]
    given += ["--moments", folder / "moments.safetensors", "--contexts", folder / "contexts.json"]
    given += ["--cases", golden.FOLDER / "requests.json", "--timed", json.dumps(timed), "--out", folder / "seconds.csv"]
    timing.main(list(map(str, [*given, *further])))
    return pd.read_csv(folder / "seconds.csv")


def test_whole_edits_and_their_parts_are_timed(tmp_path):
    found = _run(tmp_path, TIMED)
    assert found[["method", "part", "n"]].to_numpy().tolist() == [
        *(["memit", part, size] for size in (1, 3) for part in ("whole edit", "search for z", "insertion")),
        ["ft_w", "whole edit", 2],
    ]
    assert (found["seconds"] > 0).all()
    whole = found[found["part"] == "whole edit"].set_index(["method", "n"])["seconds"]
    parts = found[(found["method"] == "memit") & (found["part"] != "whole edit")].groupby("n")["seconds"].sum()
    assert parts[3] <= whole["memit", 3] * 1.01


def _search(folder, shard, first):
    write_json(folder / "contexts.json", golden.contexts())
    out, seconds = folder / f"{shard}.safetensors", folder / f"{shard}.json"
    given = ["--model", golden.FOLDER / "model", "--dataset", "counterfact", "--first", first]
    given += ["--cases", golden.FOLDER / "requests.json"]
    given += ["--contexts", folder / "contexts.json", "--settings", json.dumps(TIMED["memit"]["settings"])]
    given += ["--shard", shard, "--block", 2, "--out", out, "--seconds", seconds]
    search.main(list(map(str, given)))
    return out, seconds


def test_largest_edit_counts_the_seconds_of_its_stored_search(tmp_path):
    found, seconds = zip(*(_search(tmp_path, shard, 4) for shard in ("1-of-2", "2-of-2")), strict=True)
    for path in seconds:
        assert read_json(path)["targets"] == 2
        write_json(path, {"targets": 2, "seconds": 0.5})
    lines = _run(tmp_path, TIMED, "--targets", *found, "--searched", *seconds)
    own = lines[(lines["method"] == "memit") & (lines["n"] == 4)].set_index("part")["seconds"]
    assert own["search for z"] == 1
    assert own["whole edit"] == pytest.approx(1 + own["insertion"], abs=0.001)


def test_more_stored_targets_than_facts_stop_with_a_message(tmp_path, caplog):
    found, seconds = _search(tmp_path, "1-of-1", 4)
    write_json(seconds, {"targets": 17, "seconds": 1.0})
    with pytest.raises(SystemExit):
        _run(tmp_path, TIMED, "--targets", found, "--searched", seconds)
    assert "17 z vectors were searched for, the file has 16 facts" in caplog.text


def test_more_facts_than_there_are_stop_with_a_message(tmp_path, caplog):
    with pytest.raises(SystemExit):
        _run(tmp_path, {"ft_w": {"sizes": [99], "settings": {"layers": [2], "n_steps": 1}}})
    assert "ft_w is to be timed on 99 facts, the file has 16" in caplog.text


def test_extrapolation_goes_on_at_the_last_pace():
    lines = pd.DataFrame({"n": [100, 1000], "seconds": [10.0, 55.0]})
    assert at_target(lines) == pytest.approx(55 + 9000 * 0.05)
    assert at_target(lines[:1]) == pytest.approx(1000.0)
    shrinking = pd.DataFrame({"n": [1, 2], "seconds": [3.0, 2.0]})
    assert at_target(shrinking) == 2.0
