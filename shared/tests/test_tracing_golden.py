"""The engine reproduces numbers that the authors' own tracing code gave on a small trained GPT-2."""

import json
from functools import cache
from pathlib import Path

import pytest
import torch

from shared.model.models import load_lm
from shared.traces.noise import Noise, embedding_std
from shared.traces.severed import trace_severed
from shared.traces.trace_runs import Corruption, make_fact
from shared.traces.tracing import STATE, Restoration, trace_facts

GOLDEN = Path(__file__).parents[2] / "tests" / "golden"
TOLERANCE = {"atol": 1e-5, "rtol": 0}


@cache
def _lm():
    return load_lm(GOLDEN / "model")


def _golden(name):
    return json.loads((GOLDEN / "trace" / f"{name}.json").read_text())


def _corruption(golden):
    return Corruption(Noise(scale=golden["noise"]), golden["samples"])


def test_noise_scale():
    golden = _golden("noise")
    assert embedding_std(_lm(), golden["subjects"]) == pytest.approx(golden["sigma"], rel=1e-6)


def test_rome_scores():
    golden = _golden("rome")
    facts = [make_fact(_lm(), fact["prompt"], fact["subject"], fact_id=fact["case_id"]) for fact in golden["facts"]]
    window = golden["window"]
    restorations = [STATE, Restoration("mlp", window), Restoration("attention", window)]
    traces = trace_facts(_lm(), facts, restorations, _corruption(golden))
    for trace, expected in zip(traces, golden["facts"], strict=True):
        assert list(trace.fact.ids) == expected["input_ids"]
        assert [trace.fact.start, trace.fact.stop] == expected["subject_range"]
        assert _lm().tokenizer.decode(trace.answer) == expected["answer"]
        assert trace.high == pytest.approx(expected["high"], abs=1e-5)
        assert trace.low == pytest.approx(expected["low"], abs=1e-5)
        for restoration in restorations:
            torch.testing.assert_close(trace.scores[restoration], torch.tensor(expected[restoration.kind]), **TOLERANCE)


def test_rome_severed_curves():
    golden = _golden("rome")
    facts = [make_fact(_lm(), fact["prompt"], fact["subject"]) for fact in golden["facts"]]
    traces = trace_severed(_lm(), facts, _corruption(golden))
    for trace, expected in zip(traces, golden["facts"], strict=True):
        torch.testing.assert_close(trace.ordinary, torch.tensor(expected["severed_ordinary"]), **TOLERANCE)
        for site in ("mlp", "attention"):
            torch.testing.assert_close(trace.severed[site], torch.tensor(expected[f"severed_{site}"]), **TOLERANCE)


def test_the_two_severed_protocols_differ():
    golden = _golden("rome")
    fact = make_fact(_lm(), golden["facts"][0]["prompt"], golden["facts"][0]["subject"])
    [following] = trace_severed(_lm(), [fact], _corruption(golden), frozen_noise="next")
    [same] = trace_severed(_lm(), [fact], _corruption(golden), frozen_noise="same")
    torch.testing.assert_close(same.ordinary, following.ordinary)
    assert (same.severed["mlp"] - following.severed["mlp"]).abs().max() > 1e-3


def test_localization_scores():
    golden = _golden("localization")
    facts = [make_fact(_lm(), fact["prompt"], fact["subject"], target=fact["target"]) for fact in golden["facts"]]
    restorations = [Restoration("mlp", int(window)) for window in golden["facts"][0]["windows"]]
    traces = trace_facts(_lm(), facts, restorations, _corruption(golden))
    for trace, expected in zip(traces, golden["facts"], strict=True):
        assert trace.high == pytest.approx(expected["base"], abs=1e-5)
        assert trace.low == pytest.approx(expected["low"], abs=1e-5)
        for restoration in restorations:
            wanted = torch.tensor(expected["windows"][str(restoration.window)])
            torch.testing.assert_close(trace.scores[restoration][trace.fact.start :], wanted, **TOLERANCE)
