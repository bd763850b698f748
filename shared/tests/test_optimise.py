"""The batched vector search equals a plain search with the whole model, one problem at a time, in every layout."""

import pytest
import torch

from shared.errors import ConfigError, ModelError, NumericalError
from shared.fit.fitting import Adam, Row, mean_nll, mean_probability, teacher_forced
from shared.fit.optimise import VectorProblem, VectorSettings, optimise_vectors
from shared.tests.search_oracle import plain_search
from shared.tests.tiny import FAMILIES, tiny_lm

LAYER = 1


def _likelihood(log_probs, mask):
    """An objective of one's own: push the targets down."""
    return -mean_nll(log_probs, mask)


def _problem(lm, number, target_length=2, contexts=3, noisy=False, suffix_length=None):
    generator = torch.Generator().manual_seed(number)

    def tokens(count):
        return torch.randint(1, lm.arch.embedding.num_embeddings, (count,), generator=generator).tolist()

    subject, suffix, target = (
        tokens(2),
        tokens(1 + number % 3 if suffix_length is None else suffix_length),
        tokens(target_length),
    )
    rows, lookups = [], []
    for context in range(contexts):
        before = tokens(2 * context)
        ids = [*before, *subject, *suffix]
        noise = torch.randn(len(ids), lm.arch.d_model, generator=generator) if noisy else None
        rows.append(teacher_forced(ids, target, _with_rest(noise, target)))
        lookups.append(len(before) + 1)
    return VectorProblem(str(number), rows, lookups, Row(subject))


def _with_rest(noise, target):
    return None if noise is None else torch.cat([noise, torch.zeros(len(target) - 1, noise.shape[1])])


def _assert_equal(result, expected, tolerance=1e-4):
    delta, initial, losses = expected
    assert len(result.terms) == len(losses)
    assert (result.initial - initial).norm() <= 1e-5 * initial.norm()
    assert (result.delta - delta).norm() <= tolerance * delta.norm()
    torch.testing.assert_close(result.terms[:, 0], torch.tensor(losses).double(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_equals_a_plain_search_in_every_layout(family):
    lm = tiny_lm(family)
    settings = VectorSettings(n_steps=5, lr=0.05)
    problems = [_problem(lm, number, target_length=1 + number % 2) for number in range(3)]
    for result, problem in zip(optimise_vectors(lm, problems, LAYER, settings=settings), problems, strict=True):
        _assert_equal(result, plain_search(lm, problem, settings, LAYER))


@pytest.mark.parametrize("site", ["mlp", "block"])
@pytest.mark.parametrize("noisy", [False, True])
def test_sites_objectives_and_noise(site, noisy):
    lm = tiny_lm()
    settings = VectorSettings(n_steps=4, lr=0.05, update_last=True, stop_below=0.0, clamp_norm_factor=0.1)
    problem = _problem(lm, 4, noisy=noisy)
    result = optimise_vectors(lm, [problem], LAYER, site=site, settings=settings, objective=_likelihood)[0]
    _assert_equal(result, plain_search(lm, problem, settings, LAYER, site, _likelihood))


def test_finished_problems_leave_at_their_own_step():
    lm = tiny_lm()
    problems = [_problem(lm, number) for number in range(4)]
    free = VectorSettings(n_steps=12, lr=0.3, weight_decay=0.0, clamp_norm_factor=50.0, stop_below=0.0)
    finals = sorted(result.terms[6, 0].item() for result in optimise_vectors(lm, problems, LAYER, settings=free))
    # Between two problems' losses: at one of them, rounding would decide.
    halfway = (finals[1] + finals[2]) / 2
    settings = VectorSettings(n_steps=12, lr=0.3, weight_decay=0.0, clamp_norm_factor=50.0, stop_below=halfway)
    together = optimise_vectors(lm, problems, LAYER, settings=settings)
    assert len({len(result.terms) for result in together}) > 1
    for result, problem in zip(together, problems, strict=True):
        _assert_equal(result, plain_search(lm, problem, settings, LAYER), tolerance=1e-3)


def test_batch_size_and_order_do_not_matter():
    lm = tiny_lm()
    problems = [_problem(lm, number, target_length=1 + number % 3) for number in range(5)]
    settings = VectorSettings(n_steps=5, lr=0.05)
    together = optimise_vectors(lm, problems, LAYER, settings=settings)
    apart = optimise_vectors(lm, problems[::-1], LAYER, settings=settings, max_tokens=1)[::-1]
    for a, b in zip(together, apart, strict=True):
        assert (a.delta - b.delta).norm() <= 1e-5 * b.delta.norm()


@pytest.mark.parametrize("layer", [0, 2])
def test_first_and_last_layer(layer):
    """After the last block a vector reaches only the prediction at its own position."""
    lm, settings = tiny_lm(), VectorSettings(n_steps=5, lr=0.05, clamp_norm_factor=0.2)
    problem = _problem(lm, 1, suffix_length=0)
    result = optimise_vectors(lm, [problem], layer, settings=settings)[0]
    _assert_equal(result, plain_search(lm, problem, settings, layer))
    assert result.delta.norm() <= 0.2 * result.initial.norm() * (1 + 1e-6)


def test_erasing_minimises_the_probability():
    log_probs = torch.tensor([[[0.5, 0.25], [0.125, 1.0]]]).log()
    mask = torch.tensor([[[True, True], [True, False]]])
    expected = torch.tensor([-(torch.tensor(0.125).log() / 2 + torch.tensor(0.125).log()) / 2])
    torch.testing.assert_close(mean_nll(log_probs, mask), expected)
    torch.testing.assert_close(mean_probability(log_probs, mask), (-expected).exp())


def test_a_diverging_case_is_named():
    lm = tiny_lm()
    problem = _problem(lm, 7, noisy=True)
    problem.rows[1].noise.fill_(float("nan"))
    with pytest.raises(NumericalError, match="case 7: the loss became nan at step 0"):
        optimise_vectors(lm, [_problem(lm, 6, noisy=True), problem], LAYER)


def test_bad_settings_and_problems():
    lm = tiny_lm()
    with pytest.raises(ConfigError, match="n_steps is 0"):
        VectorSettings(n_steps=0)
    with pytest.raises(ConfigError, match="lr is -1"):
        VectorSettings(lr=-1)
    with pytest.raises(ModelError, match="layer 3"):
        optimise_vectors(lm, [_problem(lm, 1)], 3)
    with pytest.raises(ConfigError, match="same number of texts"):
        optimise_vectors(lm, [_problem(lm, 1), _problem(lm, 2, contexts=2)], LAYER)
    with pytest.raises(ValueError, match="after its lookup"):
        VectorProblem("1", [Row([1, 2, 3], [0], [5])], [1])


def test_adam_moves_as_torch_does_when_rows_leave():
    start = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    rows = [row.clone().requires_grad_() for row in start]
    references = [torch.optim.Adam([row], lr=0.1) for row in rows]
    ours, adam = start.clone(), Adam(start, 0.1)
    kept = torch.arange(3)
    for step in range(5):
        gradient = torch.randn(3, 4, generator=torch.Generator().manual_seed(step + 1))
        adam.step_(ours, gradient[kept])
        for index in kept.tolist():
            rows[index].grad = gradient[index].clone()
            references[index].step()
        torch.testing.assert_close(ours, torch.stack([rows[i].detach() for i in kept.tolist()]), rtol=1e-6, atol=1e-6)
        if step == 2:
            kept = torch.tensor([2, 0])
            ours = ours[kept]
            adam.keep(kept)


def test_nothing_stays_shadowed():
    lm = tiny_lm()
    ids = torch.tensor([[5, 6, 7]])
    before = lm.model(ids).logits
    optimise_vectors(lm, [_problem(lm, 1)], 0, settings=VectorSettings(n_steps=2))
    assert torch.equal(lm.model(ids).logits, before)
    assert not any("forward" in vars(module) for module in lm.model.modules())
