"""Tracing runs: rows, shards and the averages made from them."""

import json
from pathlib import Path

import numpy as np
import pytest

from papers.rome import tracing
from papers.rome.effects import category_effects, heatmap, read_traces, severed_effects, summary
from papers.rome.tracing import TraceSettings, trace_prompt
from shared.data.requests import read_known_facts
from shared.errors import DataError
from shared.model.models import load_lm
from shared.records import read_jsonl, write_json
from shared.traces.effects import average_indirect_effect
from shared.traces.trace_runs import Corruption

GOLDEN = Path(__file__).parents[3] / "tests" / "golden"
LAYERS = 6


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Trace five facts, one of them with a wrong answer, in one process."""
    folder = tmp_path_factory.mktemp("traces")
    records = json.loads((GOLDEN / "requests.json").read_text())[:5]
    facts = []
    for place, record in enumerate(records):
        request = record["requested_rewrite"]
        attribute = "nothing" if place == 3 else request["target_true"]["str"]
        prompt = request["prompt"].replace("{}", request["subject"])
        fact = {"known_id": place * 2, "subject": request["subject"], "attribute": attribute, "prompt": prompt}
        facts.append({**fact, "template": request["prompt"], "relation_id": request["relation_id"]})
    write_json(folder / "facts.json", facts)
    _trace(folder, "whole.jsonl")
    return folder


def _trace(folder, name, *more):
    options = ["--model", str(GOLDEN / "model"), "--facts", str(folder / "facts.json"), "--window", "3"]
    tracing.main([*options, "--samples", "2", "--block", "2", "--severed", "--out", str(folder / name), *more])
    return (folder / name).read_bytes()


def test_rows(run):
    rows = list(read_jsonl(run / "whole.jsonl"))
    assert [row["known_id"] for row in rows] == [0, 2, 4, 6, 8]
    assert [row["correct"] for row in rows] == [True, True, True, False, True]
    assert "scores" not in rows[3]
    assert "severed" not in rows[3]
    row = rows[0]
    assert "".join(row["tokens"]) == row["prompt"]
    assert row["answer"].strip() == row["attribute"]
    assert {kind: np.shape(values) for kind, values in row["scores"].items()} == dict.fromkeys(
        ("state", "mlp", "attention"), (len(row["tokens"]), LAYERS)
    )
    assert {name: len(curve) for name, curve in row["severed"].items()} == dict.fromkeys(
        ("ordinary", "mlp", "attention"), LAYERS
    )
    last = row["subject_range"][1] - 1
    np.testing.assert_allclose(row["severed"]["ordinary"], row["scores"]["state"][last], atol=1e-6)


def test_shards_together_are_the_whole_byte_for_byte(run):
    parts = [_trace(run, f"part{k}.jsonl", "--shard", f"{k}-of-3") for k in (1, 2, 3)]
    assert b"".join(parts) == (run / "whole.jsonl").read_bytes()
    assert read_traces([run / f"part{k}.jsonl" for k in (3, 1, 2)]) == read_traces([run / "whole.jsonl"])


def test_unknown_facts_are_traced_only_if_asked(run):
    _trace(run, "all.jsonl", "--unfiltered", "--kinds")
    rows = read_traces([run / "all.jsonl"], only_correct=False).rows
    assert [row["correct"] for row in rows] == [True, True, True, False, True]
    assert len(severed_effects(rows)) == 3 * LAYERS
    assert len(read_traces([run / "all.jsonl"]).rows) == 4
    assert len(read_traces([run / "whole.jsonl"], only_correct=False).rows) == 4


def test_gradient_mode(run):
    _trace(run, "gradients.jsonl", "--mode", "gradients", "--first", "1", "--kinds", "mlp", "--steps", "20")
    [row] = read_jsonl(run / "gradients.jsonl")
    assert np.shape(row["gradients"]["mlp"]) == (len(row["tokens"]), LAYERS)
    ends = row["completeness"]["mlp"]
    np.testing.assert_allclose(ends["totals"], ends["differences"], atol=0.02)


def test_own_prompt_equals_the_row_of_a_known_fact(run):
    rows = list(read_jsonl(run / "whole.jsonl"))
    lm = load_lm(GOLDEN / "model")
    facts = read_known_facts(run / "facts.json")
    noise = tracing.make_noise(lm, "s3", [fact.subject for fact in facts])
    settings = TraceSettings(Corruption(noise, samples=2), window=3, severed=True)
    own = trace_prompt(lm, rows[1]["prompt"], rows[1]["subject"], settings)
    for kind, scores in own["scores"].items():
        np.testing.assert_allclose(scores, rows[1]["scores"][kind], atol=1e-6)
    with pytest.raises(DataError, match="Nobody"):
        trace_prompt(lm, rows[1]["prompt"], "Nobody", settings)


def test_bad_files_end_with_a_message(run, caplog):
    with pytest.raises(SystemExit):
        _trace(run, "never.jsonl", "--noise", "z3")
    assert "noise rule 'z3'" in caplog.text
    assert not (run / "never.jsonl").exists()
    with pytest.raises(DataError, match="occurs twice"):
        read_traces([run / "whole.jsonl", run / "whole.jsonl"])
    (run / "wrong.jsonl").write_text((run / "whole.jsonl").read_text().splitlines()[3] + "\n")
    with pytest.raises(DataError, match="none of the 1 facts"):
        read_traces([run / "wrong.jsonl"])


def test_averages_agree_with_the_core(run):
    rows = read_traces([run / "whole.jsonl"]).rows
    facts = read_known_facts(run / "facts.json")
    kinds = ("state", "mlp", "attention")
    core = average_indirect_effect(load_lm(GOLDEN / "model"), facts, kinds=kinds, window=3, samples=2)
    assert core.count == len(rows) == 4
    for kind in kinds:
        ours = category_effects(rows, kind)
        for category, effect in core.indirect[kind].items():
            np.testing.assert_allclose(ours[ours.category == category].effect, effect.numpy(), atol=1e-6)
        assert set(ours.category) == set(core.indirect[kind])
    ours = severed_effects(rows)
    for curve, effect in core.severed.items():
        np.testing.assert_allclose(ours[ours.curve == curve].effect, effect.numpy(), atol=1e-6)
    numbers = summary(rows).set_index("metric").value
    assert numbers["average_total_effect"] == pytest.approx(100 * core.total, abs=1e-4)
    peak = core.indirect["state"]["last_subject"]
    assert numbers["states_last_subject_peak"] == pytest.approx(100 * peak.max().item(), abs=1e-4)
    assert numbers["states_last_subject_peak_layer"] == peak.argmax().item()


def _row(known_id, subject_range, state, low):
    return {
        "known_id": known_id, "subject_range": subject_range, "high": 0.9, "low": low, "scores": {"state": state}
    }  # fmt: skip


def test_categories_and_bands_by_hand():
    rows = [
        _row(0, [1, 4], [[0.1], [0.2], [0.3], [0.4], [0.5], [0.6], [0.7]], 0.1),
        _row(1, [0, 1], [[0.8], [0.0]], 0.3),
    ]
    effects = category_effects(rows, "state").set_index("category")
    expected = {"first_subject": 0.5, "middle_subject": 0.3, "last_subject": 0.6, "first_subsequent": 0.25,
                "further": 0.6, "last": 0.35}  # fmt: skip
    for category, mean in expected.items():
        assert effects.effect[category] == pytest.approx(mean - 0.2), category
    assert effects.n.to_dict() == {**dict.fromkeys(expected, 2), "middle_subject": 1, "further": 1}
    band = (effects.high - effects.effect)["last_subject"]
    assert band == pytest.approx(1.96 * np.std([0.4, 0.8]) / np.sqrt(2))
    assert set(category_effects(rows, "state", counting="facts").n) == {2}
    rows[0]["low"] = 0.9
    assert heatmap(category_effects(rows, "state")).loc["first_subsequent", 0] == 0
    with pytest.raises(DataError, match="mlp"):
        category_effects(rows, "mlp")
