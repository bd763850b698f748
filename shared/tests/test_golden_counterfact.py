"""CounterFact numbers of the golden model agree with those of the authors' evaluation code."""

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from scipy.stats import hmean

from shared.data.probes import POST, PRE, rewrite_prompt
from shared.data.requests import QuestionAnswer, read_counterfact
from shared.editing.evaluate import EvaluationOptions, evaluate_single
from shared.edits.deltas import UNEDITED, Edit, WeightDelta
from shared.measures.metrics import rome, summarise, zsre_rome
from shared.model.models import load_lm
from shared.tests.oracle import plain_answers

GOLDEN = Path(__file__).parents[2] / "tests" / "golden"
NUMBERS = json.loads((GOLDEN / "counterfact_metrics.json").read_text())
CASES = read_counterfact(GOLDEN / "requests.json")
EDITED = [case for case in CASES if f"{case.case_id}.1" in NUMBERS["post"]]
KINDS = ("rewrite", "paraphrase", "neighborhood", "attribute")


@cache
def golden_lm():
    return load_lm(GOLDEN / "model")


class StoredEditor:
    """Hands out the rank-one edits that the authors' code made of one layer."""

    name = "stored"

    def __init__(self, layer):
        self.layer = layer
        self.factors = load_file(GOLDEN / "counterfact_rome_edits.safetensors")

    def edit_for(self, case_id):
        left, right = (self.factors[f"{case_id}.{self.layer}.{side}"] for side in ("left", "right"))
        module = f"transformer.h.{self.layer}.mlp.c_proj"
        return Edit((WeightDelta(module, left=left[:, None], right=right[None]),))

    def edit_each(self, lm, requests):
        return [self.edit_for(request.case_id) for request in requests]

    def edit(self, lm, requests):
        (request,) = requests
        return self.edit_for(request.case_id)


@cache
def rows_of(layer):
    options = EvaluationOptions("counterfact_attributes", edit_batch=4)
    return list(evaluate_single(golden_lm(), StoredEditor(layer), EDITED, options))


def expected_nll(numbers, row):
    return numbers[f"{row.kind}_prompts_probs"][row.prompt_index]


def assert_agrees(row, numbers, atol=5e-5):
    nll = [-np.mean(row.logprobs_new), -np.mean(row.logprobs_true)]
    assert nll == pytest.approx(expected_nll(numbers, row), abs=atol, rel=1e-6), (row.case_id, row.kind)


@pytest.mark.parametrize("layer", [1, 3])
def test_probabilities(layer):
    for row in rows_of(layer):
        golden = NUMBERS[row.phase][str(row.case_id) if row.phase == PRE else f"{row.case_id}.{layer}"]
        assert_agrees(row, golden)


def test_probabilities_and_correct_tokens_of_all_unedited_cases():
    options = EvaluationOptions(phases=(PRE,))
    rows = list(evaluate_single(golden_lm(), StoredEditor(1), CASES, options))
    assert len(rows) == sum(3 + len(case.neighborhood_prompts) for case in CASES)
    for row in rows:
        golden = NUMBERS["pre"][str(row.case_id)]
        assert_agrees(row, golden)
        flags = row.correct_true if row.kind == "neighborhood" else row.correct_new
        assert all(flags) == golden[f"{row.kind}_prompts_correct"][row.prompt_index]
    assert max(len(row.logprobs_new) for row in rows) > 3  # some targets have several tokens


def metrics_by_hand(numbers):
    """Return ES, EM, PS, PM, NS, NM from the authors' stored values."""
    means = []
    for kind, wanted in (("rewrite", 0), ("paraphrase", 0), ("neighborhood", 1)):
        pairs = [(pair[wanted], pair[1 - wanted]) for pair in numbers[f"{kind}_prompts_probs"]]
        means.append(np.mean([a < b for a, b in pairs]))
        means.append(np.mean([np.exp(-a) - np.exp(-b) for a, b in pairs]))
    return means


@pytest.mark.parametrize("layer", [1, 3])
def test_metrics(layer):
    cases = rome(rows_of(layer))
    names = [f"{kind}_{what}" for kind in ("efficacy", "paraphrase", "neighborhood") for what in ("score", "magnitude")]
    for (_, phase, _, _, case_id), values in cases.iterrows():
        golden = NUMBERS[phase][str(case_id) if phase == PRE else f"{case_id}.{layer}"]
        assert values[names].tolist() == pytest.approx(metrics_by_hand(golden), abs=2e-5)
    summary = summarise(cases.xs(POST, level="phase", drop_level=False), "rome").set_index("metric")
    golden = np.mean([metrics_by_hand(NUMBERS["post"][f"{case.case_id}.{layer}"]) for case in EDITED], axis=0)
    assert summary.loc[names, "mean"].tolist() == pytest.approx(golden, abs=2e-5)
    assert summary.loc["score", "mean"] == pytest.approx(hmean(golden[[0, 2, 4]]))
    assert summary.loc["score", "n"] == len(EDITED) == 6


def gap_to_one_at_a_time(lm, layer):
    """Return the largest difference to changed weights and plain passes, relative to max(1, |log-probability|)."""
    editor = StoredEditor(layer)
    rows = list(evaluate_single(lm, editor, EDITED, EvaluationOptions("counterfact_attributes", edit_batch=4)))
    edits = [UNEDITED if row.phase == PRE else editor.edit_for(row.case_id) for row in rows]
    worst = 0.0
    for row, plain in zip(rows, plain_answers(lm, list(zip(rows, edits, strict=True))), strict=True):
        for side, (log_probs, correct) in plain.items():
            assert getattr(row, f"correct_{side}") == tuple(correct)
            pairs = zip(getattr(row, f"logprobs_{side}"), log_probs, strict=True)
            worst = max(worst, *(abs(ours - theirs) / max(1, abs(theirs)) for ours, theirs in pairs))
    return worst


@pytest.mark.parametrize("layer", [1, 3])
def test_batched_equals_one_at_a_time(layer):
    assert gap_to_one_at_a_time(golden_lm(), layer) < 1e-5


def test_the_gap_is_rounding():
    """With double-precision weights only the final rounding of the scores to single precision is left."""
    assert gap_to_one_at_a_time(load_lm(GOLDEN / "model", dtype=torch.float64), 1) < 1e-6


def test_a_wrong_layer_is_noticed():
    """Positive control: the numbers of one layer's edits do not fit the other's."""
    row = next(row for row in rows_of(3) if row.phase == POST and row.kind == "rewrite")
    with pytest.raises(AssertionError):
        assert_agrees(row, NUMBERS["post"][f"{row.case_id}.1"], atol=1e-2)


@torch.no_grad()
def text_fed_accuracy(lm, prompt, target):
    """Score an answer as the authors' zsRE code does: every prefix of it as text, re-tokenised with the prompt."""
    tokens = lm.tokenizer(f" {target}")["input_ids"]
    correct = []
    for index, token in enumerate(tokens):
        ids = lm.tokenizer(prompt + lm.tokenizer.decode(tokens[:index]), return_tensors="pt")["input_ids"]
        expected = lm.tokenizer(lm.tokenizer.decode(token))["input_ids"][0]
        correct.append(int(lm.model(ids).logits[0, -1].argmax()) == expected)
    return np.mean(correct)


def test_zsre_accuracies_equal_those_of_answers_fed_as_text():
    lm = golden_lm()
    known = [
        case.model_copy(
            update={
                "request": case.request.model_copy(update={"target_new": f"{case.request.target_true}. The city"}),
                "locality": (QuestionAnswer(prompt="The mother tongue of", answer=f"{case.request.subject} is"),),
            }
        )
        for case in CASES
    ]
    cases = zsre_rome(evaluate_single(lm, StoredEditor(1), known, EvaluationOptions("zsre", phases=(PRE,))))
    for case in known:
        values = cases.xs(case.case_id, level="case_id").iloc[0]
        new, (question,) = case.request.target_new, case.locality
        assert values.efficacy_accuracy == text_fed_accuracy(lm, rewrite_prompt(case), new)
        paraphrases = [text_fed_accuracy(lm, prompt, new) for prompt in case.paraphrase_prompts]
        assert values.paraphrase_accuracy == np.mean(paraphrases)
        assert values.specificity_accuracy == text_fed_accuracy(lm, f"{question.prompt}?", question.answer)
    assert 0.3 < cases.efficacy_accuracy.mean() < 1
    assert 0 < cases.specificity_accuracy.mean() < 1
