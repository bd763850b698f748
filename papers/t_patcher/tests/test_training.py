"""Losses and training: against the definitions, and against whole passes over copies."""

import math

import pytest
import torch

from papers.t_patcher.losses import MemoryLoss, Penalty, answer_loss, divergence, verdict_loss
from papers.t_patcher.memory import Inputs, RememberedInputs
from papers.t_patcher.patches import Patches
from papers.t_patcher.settings import PatchSettings
from papers.t_patcher.stream import Editing
from papers.t_patcher.tests.oracle import fit_slowly
from papers.t_patcher.tests.problems import problem_of
from papers.t_patcher.training import Lines, Mistake, fit, initial
from shared.errors import ConfigError

# One patch each: of several, rounding decides which has the largest activation loss at the start, where all are 1.
QUICK = PatchSettings(max_steps=40, first_check=10, check_every=5, max_patches=1, memory_top=40, memory_weight=0.1)


def mistakes_of(problem, settings=QUICK):
    editing = Editing(problem, [[example] for example in range(problem.edit.n_rows)], settings)
    return [mistake for _, mistake in editing._next_mistakes()]


def keeper_of(problem, lines, settings=QUICK):
    none = problem.memory[:0]
    parts = Inputs(problem.memory), Inputs(problem.validation)
    return RememberedInputs(*parts, (none,) * lines, settings.remembered_loss(), settings.repeat)


@pytest.mark.parametrize("family", ["gpt2", "bart", "t5", "bert_one_logit"])
def test_pre_activations_start_at_exactly_one(family):
    problem = problem_of(family)
    mistakes = mistakes_of(problem)
    lines = Lines(mistakes)
    neurons, _ = lines.run(problem.layer, lines.parameters([initial(one, QUICK, 0) for one in mistakes]))
    torch.testing.assert_close(neurons.own[neurons.present], torch.ones(int(neurons.present.sum())), atol=1e-5, rtol=0)


@pytest.mark.parametrize("repeat", [1, 4, 8])
@pytest.mark.parametrize("top", [5, 20, 1000, None])
def test_copies_need_not_be_computed(top, repeat):
    x = torch.randn(3, 30, generator=torch.Generator().manual_seed(top or 1))
    penalty = Penalty(top=top)
    torch.testing.assert_close(penalty(x, repeat), penalty(x.repeat_interleave(repeat, dim=1)))
    expected = x.exp().repeat_interleave(repeat, dim=1).sort(1, descending=True).values[:, :top].mean(1)
    torch.testing.assert_close(penalty(x, repeat), expected)
    padded = torch.cat([x, torch.full((3, 50), -math.inf)], 1)
    torch.testing.assert_close(penalty(padded, repeat), expected)


def test_other_shapes_of_the_memory_loss():
    x = torch.tensor([[-1.0, 2.0, 0.5, -3.0], [-1.0, -1.0, -2.0, -4.0]])
    assert Penalty("margin")(x).tolist() == [1.25, 0]
    assert Penalty("expmargin")(x).tolist() == pytest.approx([(math.exp(2) + math.exp(0.5)) / 2, 0])
    assert Penalty("margin", top=1)(x).tolist() == [2, 0]
    response, own = torch.tensor([[[1.0, -2.0], [0.0, -5.0]]]), torch.tensor([[1.0, 0.0]])
    exists = torch.ones(1, 2, 2, dtype=torch.bool)
    loss = MemoryLoss(Penalty(), Penalty(), (3, -3))(response, own, exists, 1)
    first = [math.exp(value) for value in (3, 2, 1, -2)]
    second = [math.exp(value) for value in (4, 3, 1, -2)]
    assert float(loss) == pytest.approx(sum(first) / 4 + sum(second) / 4, rel=1e-5)
    with pytest.raises(ConfigError, match="penalty 'square' is unknown"):
        Penalty("square")


def test_losses_of_answers_and_verdicts():
    logits = torch.randn(2, 3, 7, generator=torch.Generator().manual_seed(0))
    label = torch.tensor([[1, 2, 3], [4, 5, 0]])
    asked = torch.tensor([[True, True, True], [True, True, False]])
    plain = torch.nn.functional.cross_entropy(logits[1, :2], label[1, :2])
    assert float(answer_loss(logits, label, asked, 0.0)[1]) == pytest.approx(float(plain), rel=1e-5)
    logit, one = torch.tensor([[[0.7]]]), torch.ones(1, 1, dtype=torch.bool)
    p = torch.sigmoid(logit).item()
    entropy = -p * math.log(p) - (1 - p) * math.log(1 - p)
    found = float(verdict_loss(logit, torch.ones(1, 1, dtype=torch.long), one, 0.1))
    assert found == pytest.approx(-math.log(p) - 0.1 * entropy, rel=1e-5)
    assert float(divergence(logit, logit + 1, True)) > 0
    assert divergence(logits, logits, False).abs().max() < 1e-6


@pytest.mark.parametrize("family", ["gpt2", "bart"])
def test_cached_training_equals_whole_passes(family):
    problem = problem_of(family)
    before = Patches(torch.randn(2, 16) / 4, torch.zeros(2), torch.randn(2, 16), (90, 91))
    editing = Editing(problem, [list(range(problem.edit.n_rows))], QUICK)
    if problem.memory.shape[1] != 16:
        before = Patches.none(problem.memory.shape[1])
    editing.streams[0].patches = before
    [(_, mistake)] = editing._next_mistakes()
    fast = fit(problem.layer, [mistake], keeper_of(problem, 1), QUICK)[0]
    rows = [list(part.split(1)) for part in (problem.memory, problem.validation)]
    row = problem.edit_rows[mistake.example_id]
    slow = fit_slowly(problem.layer, row, mistake, before, *rows, QUICK)
    assert (fast.steps, fast.right) == (slow.steps, slow.right)
    for name in ("key", "bias", "value"):
        ours, theirs = getattr(fast.patches, name), getattr(slow.patches, name)
        assert float((ours - theirs).abs().max()) < 5e-3 * max(1, float(theirs.abs().max()))
    assert fast.memory_loss == pytest.approx(slow.memory_loss, rel=2e-2)


@pytest.mark.parametrize("family", ["gpt2", "t5", "bert_two_classes"])
def test_lines_do_not_touch_each_other(family):
    problem = problem_of(family)
    mistakes = mistakes_of(problem)
    assert len(mistakes) > 1
    together = fit(problem.layer, mistakes, keeper_of(problem, len(mistakes)), QUICK)
    for mistake, one in zip(mistakes, together, strict=True):
        alone = fit(problem.layer, [mistake], keeper_of(problem, 1), QUICK)[0]
        assert (alone.steps, alone.right, len(alone.patches)) == (one.steps, one.right, len(one.patches))
        torch.testing.assert_close(alone.patches.key, one.patches.key, atol=2e-3, rtol=1e-2)
        torch.testing.assert_close(alone.patches.value, one.patches.value, atol=2e-2, rtol=1e-2)


def test_settings_are_checked():
    assert PatchSettings.of({"margins": [0, 0], "memory_top": None}).margins == (0, 0)
    for given, message in (
        ({"memory_los": "none"}, "unknown"),
        ({"memory_loss": "most"}, "memory_loss 'most' is unknown"),
        ({"lr": 0}, "lr is 0"),
        ({"max_patches": 0}, "max_patches is 0"),
    ):
        with pytest.raises(ConfigError, match=message):
            PatchSettings.of(given)


def test_a_mistake_is_a_dataclass_of_tensors():
    problem = problem_of("gpt2")
    [mistake, *_] = mistakes_of(problem)
    assert isinstance(mistake, Mistake)
    assert set(mistake.wrong) <= set(range(len(mistake.label)))
