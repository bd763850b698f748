"""The tracing engine gives the numbers of one hooked forward pass per cell, on every layout."""

import copy
from functools import cache

import pytest
import torch

from shared.errors import ConfigError, DataError
from shared.model.models import LM
from shared.tests.tiny import FAMILIES, tiny_lm
from shared.tests.tracing_oracle import Oracle
from shared.traces.noise import Noise
from shared.traces.severed import trace_severed
from shared.traces.trace_runs import Corruption, TracedFact, make_fact
from shared.traces.tracing import STATE, Restoration, trace_facts

PROMPTS = (("Anna Bell works as a", "Anna Bell"), ("a city of rain, Anna", "Anna"))
EVERYTHING = [STATE, Restoration("mlp", 2), Restoration("attention", 1), Restoration("attention", 3)]


@cache
def _decided_lm(family):
    """Return a tiny model with sharp predictions, so that corrupting and restoring move its probabilities a lot."""
    tiny = tiny_lm(family)
    lm = LM(copy.deepcopy(tiny.model), tiny.tokenizer, tiny.name)
    with torch.no_grad():
        lm.arch.final_norm.weight.mul_(12)
    return lm


def _facts(lm):
    facts = [make_fact(lm, prompt, subject, fact_id=index) for index, (prompt, subject) in enumerate(PROMPTS)]
    ids = facts[0].ids
    first = lm.model(torch.tensor([ids])).logits[0, -1].argmax().item()
    second = lm.model(torch.tensor([[*ids, first]])).logits[0, -1].argmax().item()
    return [*facts, TracedFact(2, ids, 2, 4, (first, second)), TracedFact(3, ids, 1, 3, (first, second))]


def _close(ours, theirs):
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_cell_equals_its_own_forward_pass(family):
    lm = _decided_lm(family)
    corruption = Corruption(Noise(scale=0.1), samples=3)
    facts = _facts(lm)
    moved = 0.0
    for trace in trace_facts(lm, facts, EVERYTHING, corruption):
        oracle = Oracle(lm, trace.fact, corruption)
        clean_and_low = oracle.probability([])
        assert trace.answer == oracle.target
        assert trace.high == pytest.approx(clean_and_low[0].item(), abs=1e-5)
        assert trace.low == pytest.approx(clean_and_low[1:].mean().item(), abs=1e-5)
        for restoration in EVERYTHING:
            _close(trace.scores[restoration], oracle.scores(restoration))
            moved = max(moved, (trace.scores[restoration] - trace.low).abs().max().item())
    assert moved > 0.05  # the comparison is about real effects


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("frozen_noise", ["next", "same"])
def test_severed_curves_equal_their_own_forward_passes(family, frozen_noise):
    lm = _decided_lm(family)
    corruption = Corruption(Noise(scale=0.1), samples=3)
    for trace in trace_severed(lm, _facts(lm), corruption, frozen_noise=frozen_noise, max_tokens=40):
        oracle = Oracle(lm, trace.fact, corruption)
        _close(trace.ordinary, oracle.scores(STATE)[trace.fact.stop - 1])
        for site in ("mlp", "attention"):
            _close(trace.severed[site], oracle.severed(site, 2 if frozen_noise == "next" else 1))


@pytest.mark.parametrize(
    "corruption",
    [
        Corruption(Noise(scale=0.2), samples=2, extra_tokens=1, seed=4),
        Corruption(Noise("uniform", 0.4), samples=2),
        Corruption(Noise(scale=0.2, replace=True), samples=2, extra_tokens=50),
        Corruption(Noise("student", mean=torch.ones(32).double(), root=torch.eye(32).double() / 4), samples=2),
    ],
    ids=["extra", "uniform", "replace", "student"],
)
def test_other_corruptions(corruption):
    lm = _decided_lm("gpt2")
    fact = _facts(lm)[0]
    [trace] = trace_facts(lm, [fact], [STATE], corruption)
    _close(trace.scores[STATE], Oracle(lm, fact, corruption).scores(STATE))


def test_numbers_do_not_depend_on_batches_or_company():
    lm = _decided_lm("gpt2")
    corruption = Corruption(Noise(scale=0.1), samples=3)
    facts = _facts(lm)
    together = trace_facts(lm, facts, EVERYTHING, corruption)
    for index, fact in enumerate(facts):
        [alone] = trace_facts(lm, [fact], EVERYTHING, corruption, max_tokens=1)
        for restoration in EVERYTHING:
            torch.testing.assert_close(
                alone.scores[restoration], together[index].scores[restoration], atol=5e-6, rtol=0
            )


def test_cells_that_cannot_matter_are_exactly_low():
    lm = _decided_lm("gpt2")
    fact = _facts(lm)[1]
    [trace] = trace_facts(lm, [fact], [STATE], Corruption(Noise(scale=0.3), samples=3))
    low = torch.tensor(trace.low).float()
    assert fact.start > 0
    assert (trace.scores[STATE][: fact.start] == low).all()
    assert (trace.scores[STATE][:-1, -1] == low).all()
    assert trace.scores[STATE][-1, -1].item() == pytest.approx(trace.high, abs=1e-5)


def test_windows_are_those_of_the_authors():
    assert list(Restoration("mlp", 10).layers(17, 48)) == list(range(12, 22))
    assert list(Restoration("mlp", 3).layers(0, 6)) == [0, 1]
    assert list(Restoration("mlp", 5).layers(5, 6)) == [3, 4, 5]
    assert list(Restoration("mlp", 1).layers(4, 6)) == [4]


def test_hooks_leave_no_trace_on_the_model():
    lm = _decided_lm("gpt2")
    before = lm.model(torch.tensor([[1, 2, 3]])).logits
    trace_facts(lm, _facts(lm), EVERYTHING, Corruption(Noise(scale=0.3), samples=2))
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in lm.model.modules())
    assert torch.equal(lm.model(torch.tensor([[1, 2, 3]])).logits, before)


def test_bad_input_is_named():
    lm = _decided_lm("gpt2")
    with pytest.raises(DataError, match="Paris"):
        make_fact(lm, "Anna Bell works as a", "Paris")
    with pytest.raises(DataError, match="fact 5.*128 positions"):
        make_fact(lm, "Anna Bell " * 80, "Anna", fact_id=5)
    with pytest.raises(DataError, match=r"fact 7.*\[2, 9\)"):
        TracedFact(7, (1, 2, 3), 2, 9)
    with pytest.raises(ConfigError, match="window 4"):
        Restoration("state", 4)
    with pytest.raises(ConfigError, match="0 samples"):
        Corruption(Noise(scale=0.1), samples=0)
