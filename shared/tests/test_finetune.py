"""Batched fine-tuning equals tuning the model's own weights one fact at a time."""

import pytest
import torch

from shared.edits.deltas import applied
from shared.errors import ConfigError, NumericalError
from shared.fit.finetune import TuningProblem, TuningSettings, finetune, finetune_jointly
from shared.fit.fitting import Row, embed_rows, joint_probability, summed_nll, teacher_forced
from shared.model.models import Architecture
from shared.tests.tiny import FAMILIES, tiny_lm


def _rows(lm, number, count=1):
    generator = torch.Generator().manual_seed(number)
    size = lm.arch.embedding.num_embeddings

    def tokens(length):
        return torch.randint(1, size, (length,), generator=generator).tolist()

    return [teacher_forced(tokens(3 + number % 3), tokens(1 + number % 2)) for _ in range(count)]


def _plain(lm, modules, batches, settings):
    """Tune the modules themselves with torch's Adam, then put them back."""
    parameters = [p for module in modules for p in (module.weight, module.bias) if p is not None]
    before = [parameter.detach().clone() for parameter in parameters]
    for parameter in parameters:
        parameter.requires_grad_(True)
    adam = torch.optim.Adam(parameters, lr=settings.lr, weight_decay=settings.weight_decay)
    for _ in range(settings.n_steps):
        total = 0.0
        for rows in batches:
            losses = []
            for row in rows:
                scores = lm.model(torch.tensor([list(row.ids)])).logits[0].log_softmax(-1)
                losses.append(-scores[list(row.positions), list(row.tokens)].mean())
            loss = torch.stack(losses).mean()
            total += loss.item() * len(rows)
            if loss.item() >= settings.stop_below:
                adam.zero_grad()
                loss.backward()
                adam.step()
            if settings.norm_constraint is not None:
                with torch.no_grad():
                    for parameter, original in zip(parameters, before, strict=True):
                        bound = settings.norm_constraint
                        parameter.copy_(parameter.clamp(original - bound, original + bound))
        if total / sum(map(len, batches)) < settings.stop_below:
            break
    changes = []
    with torch.no_grad():
        for parameter, original in zip(parameters, before, strict=True):
            changes.append(parameter - original)
            parameter.copy_(original)
            parameter.requires_grad_(False)
            parameter.grad = None
    return changes


def _changes(lm, edit):
    found = []
    for delta in edit.deltas:
        module = lm.arch.module_named(delta.module)
        found.append(delta.dense if Architecture.input_first(module) else delta.dense.T)
        if delta.bias is not None:
            found.append(delta.bias)
    return found


def _assert_close(ours, expected):
    for a, b in zip(ours, expected, strict=True):
        # Adam turns rounding of gradients near zero into steps of full size, so single weights may differ.
        assert (a - b).norm() <= 2e-3 * b.norm()


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("site", ["mlp_out", "attention_in"])
def test_equals_tuning_the_model_itself(family, site):
    lm = tiny_lm(family)
    found = getattr(lm.arch, site)(1)
    modules = found if isinstance(found, list) else [found]
    settings = TuningSettings(n_steps=3, lr=1e-3, norm_constraint=2.5e-3)
    problems = [TuningProblem(str(number), _rows(lm, number)) for number in range(3)]
    edits = finetune(lm, [(1, module) for module in modules], problems, settings=settings)
    for problem, edit in zip(problems, edits, strict=True):
        ours, plain = _changes(lm, edit), _plain(lm, modules, [problem.rows], settings)
        if site == "attention_in":
            # Softmax ignores the keys' bias: its gradient is rounding noise, which Adam blows up.
            ours, plain = [[tensor for tensor in tensors if tensor.ndim == 2] for tensors in (ours, plain)]
        _assert_close(ours, plain)
        assert edit.info["n_epochs"] == 3


@pytest.mark.parametrize("layer", [0, 2])
def test_first_and_last_layer_and_two_layers(layer):
    lm = tiny_lm()
    settings = TuningSettings(n_steps=3, lr=1e-3)
    places = [(level, lm.arch.mlp_out(level)) for level in {layer, 1}]
    edit = finetune(lm, places, [TuningProblem("0", _rows(lm, 0))], settings=settings)[0]
    _assert_close(_changes(lm, edit), _plain(lm, [module for _, module in places], [_rows(lm, 0)], settings))


def test_joint_tuning_in_minibatches():
    lm = tiny_lm()
    rows = _rows(lm, 3, count=5)
    settings = TuningSettings(n_steps=3, lr=1e-3, batch_rows=2)
    edit = finetune_jointly(lm, [(1, lm.arch.mlp_out(1))], rows, settings=settings)
    _assert_close(_changes(lm, edit), _plain(lm, [lm.arch.mlp_out(1)], [rows[:2], rows[2:4], rows[4:]], settings))


def test_weight_decay_is_that_of_torchs_adam():
    lm = tiny_lm()
    rows, modules = _rows(lm, 3, count=4), [lm.arch.mlp_in(1), lm.arch.mlp_out(1)]
    settings = TuningSettings(n_steps=3, lr=1e-3, batch_rows=2, weight_decay=0.3)
    edit = finetune_jointly(lm, [(1, module) for module in modules], rows, settings=settings)
    _assert_close(_changes(lm, edit), _plain(lm, modules, [rows[:2], rows[2:]], settings))
    with pytest.raises(ConfigError, match="weight_decay is -1"):
        TuningSettings(weight_decay=-1)


def test_each_edit_stops_by_itself_and_batches_do_not_matter():
    lm = tiny_lm()
    problems = [TuningProblem(str(number), _rows(lm, number)) for number in range(4)]
    settings = TuningSettings(n_steps=40, lr=5e-3, stop_below=3.9)
    place = [(1, lm.arch.mlp_out(1))]
    together = finetune(lm, place, problems, settings=settings)
    apart = finetune(lm, place, problems[::-1], settings=settings, max_bytes=1)[::-1]
    epochs = [edit.info["n_epochs"] for edit in together]
    assert epochs == [edit.info["n_epochs"] for edit in apart]
    assert len(set(epochs)) > 1
    assert max(epochs) < 40
    for problem, edit in zip(problems, together, strict=True):
        row = problem.rows[0]
        with applied(lm, edit):
            scores = lm.model(torch.tensor([list(row.ids)])).logits[0].log_softmax(-1)
        loss = -scores[list(row.positions), list(row.tokens)].mean().item()
        assert loss < settings.stop_below
        assert loss == pytest.approx(edit.info["loss"], rel=1e-3)


def test_the_norm_constraint_bounds_every_weight():
    lm = tiny_lm()
    settings = TuningSettings(n_steps=10, lr=1e-2, norm_constraint=1e-3)
    delta = finetune(lm, [(0, lm.arch.mlp_out(0))], [TuningProblem("0", _rows(lm, 0))], settings=settings)[0].deltas[0]
    assert delta.dense.abs().max() <= 1e-3 * (1 + 1e-4)
    assert delta.dense.abs().max() > 0.9e-3


def test_the_model_is_untouched():
    lm = tiny_lm()
    before = {name: parameter.clone() for name, parameter in lm.model.named_parameters()}
    finetune(lm, [(1, lm.arch.mlp_out(1))], [TuningProblem("0", _rows(lm, 0))], settings=TuningSettings(n_steps=2))
    assert all(torch.equal(before[name], parameter) for name, parameter in lm.model.named_parameters())
    assert not any(parameter.requires_grad for parameter in lm.model.parameters())
    assert not any("forward" in vars(module) for module in lm.model.modules())


def test_bad_settings_and_divergence():
    lm = tiny_lm()
    with pytest.raises(ConfigError, match="norm_constraint is 0"):
        TuningSettings(norm_constraint=0.0)
    broken = Row([1, 2], [1], [3], torch.full((2, lm.arch.d_model), float("nan")))
    with pytest.raises(NumericalError, match="case 8"):
        finetune(lm, [(1, lm.arch.mlp_out(1))], [TuningProblem("8", [broken])])


def test_summed_losses():
    log_probs = torch.tensor([[[0.5, 0.25], [0.125, 1.0]]]).log()
    mask = torch.tensor([[[True, True], [True, False]]])
    product = torch.tensor([0.5 * 0.25 * 0.125])
    torch.testing.assert_close(summed_nll(log_probs, mask), -product.log())
    torch.testing.assert_close(joint_probability(log_probs, mask), product)


def _noisy_draws(lm, row, count):
    """Yield the noise of one row per epoch; the middle epochs are loud."""
    generator = torch.Generator().manual_seed(0)
    for epoch in range(count):
        yield [(3.0 if 2 <= epoch < 4 else 0.01) * torch.randn(2, lm.arch.d_model, generator=generator)]


def test_fresh_noise_enters_every_epoch_and_patience_outlasts_quiet_ones():
    lm = tiny_lm()
    [row] = _rows(lm, 1)
    module, count = lm.arch.mlp_out(1), 8
    draws = list(_noisy_draws(lm, row, count))

    def loss_under(noise):
        hidden = embed_rows(lm, [Row(row.ids, noise=noise)], [len(row.ids)])
        for block in lm.arch.blocks:
            hidden = block(hidden)
            hidden = hidden[0] if isinstance(hidden, tuple) else hidden
        scores = lm.arch.unembedding(lm.arch.final_norm(hidden))[0].log_softmax(-1)
        return -scores[list(row.positions), list(row.tokens)].sum()

    threshold = loss_under(draws[0][0]).item() + 1e-3
    settings = TuningSettings(n_steps=count, lr=1e-4, stop_below=threshold, patience=3)
    supply = iter(draws)
    problem = TuningProblem("noisy", [row], lambda: next(supply))
    edit = finetune(lm, [(1, module)], [problem], settings=settings, objective=summed_nll)[0]

    parameters, losses, below = [module.weight, module.bias], [], 0
    before = [parameter.detach().clone() for parameter in parameters]
    for parameter in parameters:
        parameter.requires_grad_(True)
    adam = torch.optim.Adam(parameters, lr=settings.lr)
    for [noise] in draws:
        loss = loss_under(noise)
        losses.append(loss.item())
        below = below + 1 if losses[-1] < threshold else 0
        if below == 3:
            break
        if below == 0:
            adam.zero_grad()
            loss.backward()
            adam.step()
    changes = [(parameter - original).detach() for parameter, original in zip(parameters, before, strict=True)]
    with torch.no_grad():
        for parameter, original in zip(parameters, before, strict=True):
            parameter.copy_(original)
            parameter.requires_grad_(False)
            parameter.grad = None
    assert losses[0] < threshold < max(losses)
    assert edit.info["n_epochs"] == len(losses)
    assert edit.info["loss"] == pytest.approx(losses[-1], rel=1e-4)
    _assert_close(_changes(lm, edit), changes)
