"""Fine-tuning of single linear modules: many independent edits as one batch, or one edit for many facts.

The baselines FT, FT+L and AttnEdit of ROME (Meng et al. 2022) move the weight and bias of one module by Adam until one
fact is learnt, FT+L within ±ε of the original weights. Here each edit has its own copy of the weights, which its own
rows meet in one batched product; blocks below the module are computed once, and only the wanted positions go through
the last MLP and the vocabulary.
"""

import math
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from shared.edits.deltas import Edit, WeightDelta
from shared.errors import ConfigError, NumericalError
from shared.fit.fitting import Adam, Objective, Reads, Row, embed_rows, mean_nll, rows_per_problem
from shared.model.forward import run_blocks
from shared.model.lean import fused_gelu, mlp_only_at, shadowed
from shared.model.models import LM, Architecture

STATES_PER_WEIGHT = 4  # the copy, its gradient and Adam's two moments


@dataclass(frozen=True)
class TuningProblem:
    """One edit: texts whose read tokens the weights are fitted to; `case` names it in messages.

    Attributes:
        fresh_noise: called before every epoch for the noise of the rows, where each epoch has its own (Fact Forcing as
            Hase et al. released it).
    """

    case: str
    rows: Sequence[Row]
    fresh_noise: Callable[[], Sequence[Tensor]] | None = None


@dataclass(frozen=True)
class TuningSettings:
    """How the weights are moved; defaults are those of the authors' hparams/FT/gpt2-xl_unconstr.json.

    Attributes:
        n_steps: epochs at most; unlike in ROME's search the last one updates too.
        lr: Adam's learning rate.
        norm_constraint: largest change of any single weight (ε of FT+L), or None.
        weight_decay: multiple of the weights themselves added to their gradients (torch's Adam, not AdamW), as in
            MEMIT's FT-W.
        stop_below: an edit whose loss falls below this makes no further update.
        patience: with fresh noise, epochs below that in a row which end the edit; without, the first one does, since
            nothing would change any more.
        batch_rows: rows per update, where one edit has many.
    """

    n_steps: int = 25
    lr: float | int = 5e-4
    norm_constraint: float | int | None = None
    weight_decay: float | int = 0.0
    stop_below: float | int = 0.01
    patience: int = 1
    batch_rows: int = 128

    def __post_init__(self) -> None:
        for name in ("n_steps", "patience", "batch_rows"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}, expected at least 1")
        if not self.lr > 0:
            raise ConfigError(f"lr is {self.lr}, expected a positive number")
        if self.norm_constraint is not None and not self.norm_constraint > 0:
            raise ConfigError(f"norm_constraint is {self.norm_constraint}, expected a positive number or None")
        if self.weight_decay < 0:
            raise ConfigError(f"weight_decay is {self.weight_decay}, expected zero or more")


class _Tuned:
    """One module with a copy of its weights for each problem, and the copies' optimisers.

    Copies are tuned rather than differences, so that rounding is that of tuning the module itself: under a norm
    constraint the smallest gradients amplify it.
    """

    def __init__(self, module: nn.Module, problems: int, settings: TuningSettings):
        self.module, self.bound, self.decay = module, settings.norm_constraint, settings.weight_decay
        matrix = module.weight if Architecture.input_first(module) else module.weight.T
        self.originals = [matrix] if module.bias is None else [matrix, module.bias]
        self.parameters = [
            tensor.detach().expand(problems, *tensor.shape).clone(memory_format=torch.contiguous_format)
            for tensor in self.originals
        ]
        self.optimisers = [Adam(parameter, settings.lr) for parameter in self.parameters]

    def forward(self, x: Tensor) -> Tensor:
        """Stand in for the module: every problem's rows meet its own weights."""
        weight, *bias = self.parameters
        y = torch.bmm(x.reshape(len(weight), -1, x.shape[-1]), weight)
        if bias:
            y = y + bias[0][:, None]
        return y.reshape(*x.shape[:-1], -1)

    def keep(self, rows: Int[Tensor, " kept"]) -> None:
        """Drop all problems but `rows`."""
        self.parameters = [parameter[rows] for parameter in self.parameters]
        for optimiser in self.optimisers:
            optimiser.keep(rows)

    def step_(self, gradients: Sequence[Tensor]) -> None:
        """Move every copy by one step and back into the bounds around the original."""
        steps = zip(self.parameters, self.originals, self.optimisers, gradients, strict=True)
        for parameter, original, optimiser, gradient in steps:
            optimiser.step_(parameter, gradient + self.decay * parameter if self.decay else gradient)
            if self.bound is not None:
                parameter.copy_(parameter.clamp(original - self.bound, original + self.bound))

    def delta(self, name: str, row: int) -> WeightDelta:
        """Return the change of one problem."""
        weight, *bias = [tuned[row] - before for tuned, before in zip(self.parameters, self.originals, strict=True)]
        return WeightDelta(name, dense=weight, bias=bias[0] if bias else None)


class _Batch:
    """Rows of several problems with the residual stream that enters the first edited block."""

    def __init__(self, lm: LM, problems: Sequence[Sequence[Row]], first: int):
        self.lm, self.first = lm, first
        self.n_rows = rows_per_problem(problems)
        rows = [row for problem in problems for row in problem]
        self.reads = Reads.of(rows, [0] * len(rows), lm.device)
        with torch.no_grad():
            embedded = embed_rows(lm, rows, [max(row.positions) + 1 for row in rows])
            self.hidden = run_blocks(lm, embedded, range(first))
        self.wanted = self.reads.positions_read(self.hidden.shape[1])

    def keep(self, problems: Int[Tensor, " kept"]) -> None:
        rows = (problems[:, None] * self.n_rows + torch.arange(self.n_rows, device=problems.device)).flatten()
        self.hidden, self.reads, self.wanted = self.hidden[rows], self.reads.select(rows), self.wanted[rows]

    def losses(self, tuned: Sequence[_Tuned], objective: Objective, sparse_last: bool) -> Float[Tensor, " problem"]:
        lm, last = self.lm, self.lm.arch.n_layers - 1
        with ExitStack() as stack:
            for copies in tuned:
                stack.enter_context(shadowed(copies.module, copies.forward))
            if sparse_last:
                stack.enter_context(mlp_only_at(lm, last, self.wanted))
            hidden = run_blocks(lm, self.hidden, range(self.first, last + 1))
        shape = (-1, self.n_rows, self.reads.mask.shape[1])
        return objective(self.reads.log_probs(lm, hidden).reshape(shape), self.reads.mask.reshape(shape))


def finetune(
    lm: LM,
    modules: Sequence[tuple[int, nn.Module]],
    problems: Sequence[TuningProblem],
    *,
    settings: TuningSettings | None = None,
    objective: Objective = mean_nll,
    max_bytes: int = 2**31,
) -> list[Edit]:
    """Fit, for each problem on its own, a change of the given modules' weights and biases.

    Args:
        modules: (layer, linear module) pairs; every problem tunes all of them.
        problems: independent of each other, with equally many rows; those with fresh noise are fitted one by one.
        settings: see `TuningSettings`.
        objective: loss of a problem; minimised until below `settings.stop_below`.
        max_bytes: bound on the stacked copies with gradients and optimiser states; a batch has at least one problem.

    Returns:
        one edit per problem with dense deltas; `info` has the number of epochs and the first and last loss.

    Raises:
        NumericalError: a loss became NaN or infinite; the message names the case.

    Cost: per step, forward and backward of the blocks from the first edited one over all positions, and four passes
    over every problem's own weights.
    """
    settings = settings or TuningSettings()
    per_problem = sum(module.weight.numel() * module.weight.element_size() for _, module in modules) * STATES_PER_WEIGHT
    size = max(1, max_bytes // per_problem)
    edits: list[Edit | None] = [None] * len(problems)
    settled = [i for i, problem in enumerate(problems) if problem.fresh_noise is None]
    order = sorted(settled, key=lambda i: (-max(len(row.ids) for row in problems[i].rows), i))
    with fused_gelu(lm):
        for i, problem in enumerate(problems):
            if problem.fresh_noise is not None:
                edits[i] = _fit_redrawn(lm, modules, problem, settings, objective)
        for start in range(0, len(order), size):
            chosen = order[start : start + size]
            made = _fit_each(lm, modules, [problems[i] for i in chosen], settings, objective)
            for i, edit in zip(chosen, made, strict=True):
                edits[i] = edit
    return edits


def finetune_jointly(
    lm: LM,
    modules: Sequence[tuple[int, nn.Module]],
    rows: Sequence[Row],
    *,
    settings: TuningSettings | None = None,
    objective: Objective = mean_nll,
    case: str = "all",
) -> Edit:
    """Fit one change of the modules to many rows, in minibatches of `settings.batch_rows` in their order.

    A minibatch whose loss is below `stop_below` makes no update; the fit ends when an epoch's mean loss is.

    Raises:
        NumericalError: a loss became NaN or infinite.
    """
    settings = settings or TuningSettings()
    first, size = min(layer for layer, _ in modules), settings.batch_rows
    tuned = [_Tuned(module, 1, settings) for _, module in modules]
    history: list[float] = []
    with fused_gelu(lm):
        batches = [_Batch(lm, [rows[start : start + size]], first) for start in range(0, len(rows), size)]
        for _ in range(settings.n_steps):
            total = 0.0
            for batch in batches:
                loss, gradients = _step(batch, modules, tuned, objective)
                value = _finite(loss, [case], settings)[0]
                total += value * batch.n_rows
                if value >= settings.stop_below:
                    _update(tuned, gradients)
            history.append(total / len(rows))
            if history[-1] < settings.stop_below:
                break
    return _edit(lm, tuned, 0, history)


@torch.no_grad()
def _fit_redrawn(
    lm: LM,
    modules: Sequence[tuple[int, nn.Module]],
    problem: TuningProblem,
    settings: TuningSettings,
    objective: Objective,
) -> Edit:
    """Fit one problem whose rows have new noise in every epoch."""
    first = min(layer for layer, _ in modules)
    tuned = [_Tuned(module, 1, settings) for _, module in modules]
    history: list[float] = []
    below = 0
    for _ in range(settings.n_steps):
        noises = problem.fresh_noise()
        rows = [replace(row, noise=noise) for row, noise in zip(problem.rows, noises, strict=True)]
        loss, gradients = _step(_Batch(lm, [rows], first), modules, tuned, objective)
        history += _finite(loss, [problem.case], settings)
        below = below + 1 if history[-1] < settings.stop_below else 0
        if below == settings.patience:
            break
        if below == 0:
            _update(tuned, gradients)
    return _edit(lm, tuned, 0, history)


@torch.no_grad()
def _fit_each(
    lm: LM,
    modules: Sequence[tuple[int, nn.Module]],
    problems: Sequence[TuningProblem],
    settings: TuningSettings,
    objective: Objective,
) -> list[Edit]:
    """Fit all problems side by side; those below the threshold leave the batch before the update."""
    batch = _Batch(lm, [problem.rows for problem in problems], min(layer for layer, _ in modules))
    tuned = [_Tuned(module, len(problems), settings) for _, module in modules]
    active = list(range(len(problems)))
    history: list[list[float]] = [[] for _ in problems]
    edits: list[Edit | None] = [None] * len(problems)
    for _ in range(settings.n_steps):
        loss, gradients = _step(batch, modules, tuned, objective)
        values = _finite(loss, [problems[index].case for index in active], settings)
        for index, value in zip(active, values, strict=True):
            history[index].append(value)
        kept = [row for row, value in enumerate(values) if value >= settings.stop_below]
        if len(kept) < len(active):
            for row in set(range(len(active))) - set(kept):
                edits[active[row]] = _edit(lm, tuned, row, history[active[row]])
            rows = torch.tensor(kept, dtype=torch.long, device=lm.device)
            active = [active[row] for row in kept]
            gradients = [gradient[rows] for gradient in gradients]
            batch.keep(rows)
            for copies in tuned:
                copies.keep(rows)
        if not active:
            break
        _update(tuned, gradients)
    for row, index in enumerate(active):
        edits[index] = _edit(lm, tuned, row, history[index])
    return edits


def _step(
    batch: _Batch, modules: Sequence[tuple[int, nn.Module]], tuned: Sequence[_Tuned], objective: Objective
) -> tuple[Float[Tensor, " problem"], list[Tensor]]:
    """Return every problem's loss and the gradients of all copies."""
    last = batch.lm.arch.n_layers - 1
    # An edited module inside the last MLP must see whole rows, which tell it whose change to add.
    parts = set(batch.lm.arch.mlp(last).modules())
    sparse_last = not any(module in parts for _, module in modules)
    parameters = [parameter.requires_grad_() for copies in tuned for parameter in copies.parameters]
    with torch.enable_grad():
        loss = batch.losses(tuned, objective, sparse_last)
        gradients = torch.autograd.grad(loss.sum(), parameters)
    for parameter in parameters:
        parameter.requires_grad_(False)
    return loss.detach(), list(gradients)


@torch.no_grad()
def _update(tuned: Sequence[_Tuned], gradients: list[Tensor]) -> None:
    for copies in tuned:
        count = len(copies.parameters)
        copies.step_(gradients[:count])
        gradients = gradients[count:]


def _finite(loss: Float[Tensor, " problem"], cases: Sequence[str], settings: TuningSettings) -> list[float]:
    values = loss.double().tolist()
    for case, value in zip(cases, values, strict=True):
        if not math.isfinite(value):
            raise NumericalError(
                f"case {case}: the loss became {value} while fine-tuning; lower the learning rate ({settings.lr}) "
                "or set a norm constraint"
            )
    return values


def _edit(lm: LM, tuned: Sequence[_Tuned], row: int, losses: Sequence[float]) -> Edit:
    info = {"n_epochs": len(losses), "loss_first": losses[0], "loss": losses[-1]}
    return Edit(tuple(copies.delta(lm.arch.name_of(copies.module), row) for copies in tuned), info)
