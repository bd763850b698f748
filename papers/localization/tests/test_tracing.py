"""Tracing tables equal the authors', effects and peaks follow from them, and silent MLPs are really silent."""

import io
import json
from functools import cache

import numpy as np
import pandas as pd
import pytest
import torch

from papers.localization.effects import ceiling, effects_by_layer, fraction_restored, long_table, peaks, read_traces
from papers.localization.modes import MODES
from papers.localization.tests import golden
from papers.localization.tracing import trace_cases, traced_fact
from papers.localization.zeroing import zeroed_probabilities
from shared.data.requests import Case, EditRequest
from shared.errors import DataError
from shared.records import write_jsonl
from shared.tests.tiny import FAMILIES, tiny_lm
from shared.traces.trace_runs import TracedFact
from shared.traces.tracing import Restoration

PAPER, RELEASED = MODES["as_paper"], MODES["as_released"]
THEIRS = json.loads((golden.FOLDER / "trace" / "localization.json").read_text())


@cache
def _traces():
    cases = []
    for fact in THEIRS["facts"]:
        prompt = fact["prompt"].replace(fact["subject"], "{}")
        request = EditRequest(
            case_id=fact["case_id"],
            subject=fact["subject"],
            prompt=prompt,
            target_new="x",
            target_true=fact["target"],
        )
        cases.append(Case(request=request))
    return trace_cases(golden.model(), cases, [1, 3, 5], THEIRS["noise"], samples=THEIRS["samples"])


def test_windows_equal_the_authors():
    for ours, theirs in zip(_traces(), THEIRS["facts"], strict=True):
        assert ours["subject_range"] == theirs["subject_range"]
        assert ours["clean"] == pytest.approx(theirs["base"], abs=1e-5)
        assert ours["corrupted"] == pytest.approx(theirs["low"], abs=1e-5)
        for window, table in theirs["windows"].items():
            np.testing.assert_allclose(ours["restored"][window], table, atol=1e-5)


def test_the_long_table_equals_the_released_one():
    theirs = pd.read_csv(golden.FOLDER / "localization" / "trace_case02_w3.csv")
    trace = next(trace for trace in _traces() if trace["case_id"] == 2)
    text = io.StringIO()
    next(iter(long_table([trace], RELEASED)))
    pd.concat(long_table([trace], RELEASED)).to_csv(text, index=False)
    ours = pd.read_csv(io.StringIO(text.getvalue()))
    ours = ours[ours["trace_window_size"] == 3].reset_index(drop=True)
    shared = [name for name in ours if name in theirs]
    assert set(theirs) - set(shared) == {"experiment_name", "task", "split", "pred_str"}
    for name in shared:
        if ours[name].dtype == float:
            np.testing.assert_allclose(ours[name], theirs[name], atol=1e-5)
        else:
            assert ours[name].tolist() == theirs[name].tolist(), name


def test_the_released_ceiling_is_the_best_restored_probability():
    """The last golden fact is more probable when restored than when clean."""
    trace = _traces()[-1]
    assert ceiling(trace, "3", PAPER) == trace["clean"]
    assert ceiling(trace, "3", RELEASED) == pytest.approx(0.01630498468875885, abs=1e-5)
    assert effects_by_layer([trace], RELEASED)["max_fraction_restored"].max() == pytest.approx(1)


def _trace(**changes):
    restored = {"1": [[0.1, 0.5, 0.2], [0.3, 0.5, 0.05]]}
    known = {"case_id": 4, "prompt": "p", "target": "t", "tokens": ["a", "b", "c"], "subject_range": [1, 2]}
    return known | {"clean": 0.9, "corrupted": 0.1, "restored": restored, "zeroed": [0.9, 0.45, 1.0]} | changes


def test_effects_by_layer_from_a_table_by_hand():
    frame = effects_by_layer([_trace()], PAPER)
    own = frame[frame["window"] == "1"]
    assert own["max_restored_effect"].tolist() == pytest.approx([0.2, 0.4, 0.1])
    assert own["max_fraction_restored"].tolist() == pytest.approx([0.25, 0.5, 0.125])
    assert own["last_subject_effect"].tolist() == pytest.approx([0.0, 0.4, 0.1])
    assert frame[frame["window"] == "zeroed"]["max_fraction_restored"].tolist() == pytest.approx([0, 0.5, 0])
    assert np.isnan(fraction_restored(np.array([0.3]), 0.2, 0.2)).all()
    assert fraction_restored(np.array([0.05, 1.0]), 0.1, 0.5).tolist() == pytest.approx([0, 2.25])


def test_ties_count_at_each_layer_and_facts_without_effect_not_at_all():
    tied = _trace(restored={"1": [[0.1, 0.5, 0.2], [0.5, 0.5, 0.05]]})
    none = _trace(case_id=5, restored={"1": [[0.1, 0.05, 0.1]]})
    assert peaks([tied, none])[["case_id", "layer"]].to_numpy().tolist() == [[4, 0], [4, 1]]


def test_the_long_table_has_every_token_of_the_prompt():
    rows = pd.concat(long_table([_trace(subject_range=[1, 2])], PAPER))
    assert len(rows) == 9
    assert rows[rows["token_idx"] == 0]["restore_prob"].tolist() == [0.1] * 3
    assert rows["is_subj_token"].tolist() == [False] * 3 + [True] * 6


def test_a_fact_traced_twice_and_another_file_are_refused(tmp_path):
    write_jsonl(tmp_path / "a.jsonl", [_trace()])
    with pytest.raises(DataError, match="case_id 4 was traced twice"):
        read_traces([tmp_path / "a.jsonl", tmp_path / "a.jsonl"])
    write_jsonl(tmp_path / "b.jsonl", [{"case_id": 4}])
    with pytest.raises(DataError, match="line 1: expected a line of papers.localization.tracing"):
        read_traces([tmp_path / "b.jsonl"])


@pytest.mark.parametrize("family", FAMILIES)
def test_silent_mlps_equal_hooks_on_the_model(family):
    lm = tiny_lm(family, layers=4)
    facts = [TracedFact(0, (5, 6, 7, 8), 1, 3, (9,)), TracedFact(1, (15, 16, 17), 0, 1, (9, 10))]
    found = zeroed_probabilities(lm, facts, 3)
    for fact, probabilities in zip(facts, found, strict=True):
        ids = torch.tensor([[*fact.ids, *fact.target[:-1]]])
        for center in range(4):

            def silence(_module, _args, output, fact=fact):
                hidden = output.clone()
                hidden[:, fact.start : fact.stop] = 0
                return hidden

            layers = Restoration("mlp", 3).layers(center, 4)
            handles = [lm.arch.mlp(layer).register_forward_hook(silence) for layer in layers]
            with torch.no_grad():
                log_probs = lm.model(ids).logits[0].log_softmax(-1)
            for handle in handles:
                handle.remove()
            first = len(fact.ids) - 1
            expected = sum(log_probs[first + k, token] for k, token in enumerate(fact.target)).exp()
            assert float(probabilities[center]) == pytest.approx(float(expected), rel=1e-4, abs=1e-9)
    with pytest.raises(ValueError, match="target"):
        zeroed_probabilities(lm, [TracedFact(0, (5, 6), 0, 1)], 3)


def test_a_case_that_cannot_be_traced_is_named():
    request = EditRequest(case_id=8, subject="Anna Bell", prompt="{} plays", target_new="a")
    with pytest.raises(DataError, match="case_id 8: target_true is missing"):
        traced_fact(tiny_lm(), Case(request=request))
