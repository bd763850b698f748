"""Hidden vectors found by gradient descent: many independent edits optimised as one batch.

ROME's v* (Eq. 4, §3.1, Meng et al. 2022, arXiv:2202.05262v5) and MEMIT's z (Eq. 16, §4.3.1, Meng et al. 2023,
arXiv:2210.07229v2) are the same search: a vector δ is added to the residual stream after block l at the subject's last
token, and moved until the model continues the prompt with the new object. They differ in what is called the initial
value v0 (the MLP's output, or the block's) and in their settings.

What δ cannot change is computed once: blocks up to l, and at later blocks the positions before the subject's last
token, whose keys and values are stored. A step then runs blocks > l on the remaining positions of all edits together
and projects to the vocabulary at the target's positions only. Edits that have converged leave the batch.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from shared.errors import ConfigError, NumericalError
from shared.fit.fitting import Adam, Objective, Reads, Row, embed_rows, mean_nll, rows_per_problem
from shared.model.forward import KeyValues, causal_mask, logits, run_blocks
from shared.model.hooks import capture
from shared.model.lean import constant_after_first, fused_gelu, mlp_only_at
from shared.model.models import LM

Site = Literal["mlp", "block"]
TERMS = ("total", "fit", "kl", "decay")


@dataclass(frozen=True)
class VectorProblem:
    """One vector to be found.

    Attributes:
        case: name used in messages.
        rows: texts with the target; row 0 is the plain prompt, which defines v0.
        lookups: per row, the position at which the vector is added; reads lie at or after it.
        anchor: a text ending at its own lookup, where the next-token distribution should stay (the KL term), or None.
        fresh_noise: called before every forward pass for the noise of the rows and the anchor, where each pass has its
            own (Fact Forcing as Hase et al. released it); nothing can be computed once then.
    """

    case: str
    rows: Sequence[Row]
    lookups: Sequence[int]
    anchor: Row | None = None
    fresh_noise: Callable[[], Sequence[Tensor]] | None = None

    def __post_init__(self) -> None:
        for row, lookup in zip(self.rows, self.lookups, strict=True):
            if not row.positions or min(row.positions) < lookup:
                raise ValueError(f"case {self.case}: every row needs reads at or after its lookup position {lookup}")

    def _all(self) -> list[tuple[Row, int]]:
        rows = list(zip(self.rows, self.lookups, strict=True))
        return rows if self.anchor is None else [*rows, (self.anchor, len(self.anchor.ids) - 1)]

    def _drawn(self) -> list[Row]:
        """Return the rows and the anchor of the next pass, with its noise where each pass has its own."""
        rows = [row for row, _ in self._all()]
        if self.fresh_noise is None:
            return rows
        return [replace(row, noise=noise) for row, noise in zip(rows, self.fresh_noise(), strict=True)]

    @property
    def suffix(self) -> int:
        """Number of positions from a lookup to the last read, at most."""
        return max(max(row.positions) - lookup + 1 for row, lookup in zip(self.rows, self.lookups, strict=True))

    @property
    def length(self) -> int:
        """Longest text up to its last read."""
        return max(max(row.positions, default=lookup) + 1 for row, lookup in self._all())


@dataclass(frozen=True)
class VectorSettings:
    """How the search runs; defaults are ROME's (hparams/ROME/gpt2-xl.json of the authors' code).

    Attributes:
        n_steps: forward passes; the last one makes no update, so there are at most n_steps − 1 updates.
        lr: Adam's learning rate.
        weight_decay: factor of ‖δ‖ / ‖v0‖² (the norm is not squared, as in the code).
        kl_factor: factor of the KL term at the anchor.
        clamp_norm_factor: ‖δ‖ is projected to at most this multiple of ‖v0‖ after each update.
        stop_below: an edit whose loss falls below this stops before its update; 0 never stops.
        update_last: also update after the last forward pass (Fact Erasure in Hase et al.'s code).
    """

    n_steps: int = 20
    lr: float | int = 0.5
    weight_decay: float | int = 0.5
    kl_factor: float | int = 0.0625
    clamp_norm_factor: float | int = 4.0
    stop_below: float | int = 0.05
    update_last: bool = False

    def __post_init__(self) -> None:
        if self.n_steps < 1:
            raise ConfigError(f"n_steps is {self.n_steps}, expected at least 1")
        for name in ("lr", "clamp_norm_factor"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} is {getattr(self, name)}, expected a positive number")
        for name in ("weight_decay", "kl_factor", "stop_below"):
            if not getattr(self, name) >= 0:
                raise ConfigError(f"{name} is {getattr(self, name)}, expected zero or more")


@dataclass(frozen=True)
class VectorResult:
    """The vector found for one problem.

    Attributes:
        delta: δ.
        initial: v0, the value before the edit.
        terms: per forward pass: total loss, fit, KL and decay terms (nats).
    """

    delta: Float[Tensor, " d_model"]
    initial: Float[Tensor, " d_model"]
    terms: Float[Tensor, "step 4"]

    @property
    def value(self) -> Float[Tensor, " d_model"]:
        """v* = v0 + δ."""
        return self.initial + self.delta


class _Batch:
    """Problems of equal row count, with everything that δ cannot change already computed."""

    def __init__(self, lm: LM, problems: Sequence[VectorProblem], layer: int, site: Site):
        self.lm, self.layer = lm, layer
        self.n_rows = rows_per_problem([problem.rows for problem in problems])
        self.anchored = problems[0].anchor is not None
        if any((problem.anchor is not None) != self.anchored for problem in problems):
            raise ConfigError("either all problems of a batch have an anchor or none")
        self.problems, self.site = list(problems), site
        pairs = [pair for problem in problems for pair in problem._all()]
        rows, lookups = [row for row, _ in pairs], [lookup for _, lookup in pairs]
        ends = [max(row.positions, default=lookup) + 1 for row, lookup in pairs]
        self.reads = Reads.of(rows, lookups, lm.device)
        self.lookups, self.ends = lookups, ends
        self.initial = self._prepare()

    def _prepare(self) -> Tensor:
        """Compute all that a step does not change, and return v0."""
        self.base, self.cache, initial = self._clean_pass()
        self.positions, self.mask = self._geometry()
        self.wanted = self.reads.positions_read(self.base.shape[1])
        self.wanted[self.n_rows :: self.n_rows + self.anchored, 0] |= self.anchored
        self.projected: list[Tensor] | None = None
        return initial

    @torch.no_grad()
    def _clean_pass(self):
        """Return block l's output from each lookup on, later blocks' keys and values before it, and v0."""
        lm, layer, lookups, ends = self.lm, self.layer, self.lookups, self.ends
        rows = [row for problem in self.problems for row in problem._drawn()]
        with capture({"mlp": lm.arch.mlp(layer)}) as seen:
            after = run_blocks(lm, embed_rows(lm, rows, ends), range(layer + 1))
        cache, prefix = KeyValues(record=True), max(lookups)
        later = range(layer + 1, lm.arch.n_layers)
        if prefix and later:
            with mlp_only_at(lm, later[-1], torch.zeros(len(rows), prefix, dtype=torch.bool, device=lm.device)):
                run_blocks(lm, after[:, :prefix], later, cache=cache)
        line = torch.arange(len(rows), device=lm.device)
        start = torch.tensor(lookups, device=lm.device)
        first = line[:: self.n_rows + self.anchored]
        initial = (seen["mlp"] if self.site == "mlp" else after)[first, start[first]]
        width = max(end - lookup for end, lookup in zip(ends, lookups, strict=True))
        columns = (start[:, None] + torch.arange(width, device=lm.device)).clamp(max=after.shape[1] - 1)
        return after[line[:, None], columns], cache, initial

    def _geometry(self):
        """Return positions and attention mask of the suffixes; padding is never seen by a real position."""
        device, lookups, ends = self.lm.device, self.lookups, self.ends
        start, end = torch.tensor(lookups, device=device)[:, None], torch.tensor(ends, device=device)[:, None]
        positions = start + torch.arange(self.base.shape[1], device=device)
        stored = torch.arange(self.cache.get_seq_length(self.layer + 1), device=device).expand(len(lookups), -1)
        keys = torch.cat([stored, positions], dim=1)
        valid = torch.cat([stored < start, positions < end], dim=1)
        mask = causal_mask(positions, keys, valid, dtype=self.base.dtype)
        return positions.clamp(max=self.lm.arch.n_positions - 1), mask

    def redraw(self) -> None:
        """Compute the clean pass again where a problem has its own noise in every pass; v0 stays that of the first."""
        if any(problem.fresh_noise is not None for problem in self.problems):
            self._prepare()

    def keep(self, problems: Int[Tensor, " kept"]) -> None:
        """Drop all problems but these."""
        per = self.n_rows + self.anchored
        rows = (problems[:, None] * per + torch.arange(per, device=problems.device)).flatten()
        self.problems = [self.problems[problem] for problem in problems.tolist()]
        self.lookups = [self.lookups[row] for row in rows.tolist()]
        self.ends = [self.ends[row] for row in rows.tolist()]
        self.base, self.positions, self.mask = self.base[rows], self.positions[rows], self.mask[rows]
        self.cache, self.reads = self.cache.select(rows), self.reads.select(rows)
        self.initial, self.wanted = self.initial[problems], self.wanted[rows]
        self.projected = None if self.projected is None else [constant[rows] for constant in self.projected]

    @contextmanager
    def _known_projections(self) -> Iterator[None]:
        """Spare block l+1's attention the projections after the lookup position, whose input δ does not reach."""
        modules = self.lm.arch.attention_in(self.layer + 1)
        if self.projected is not None:
            with constant_after_first(modules, self.projected):
                yield
            return
        sites = {str(index): module for index, module in enumerate(modules)}
        with capture(sites) as seen:
            yield
        self.projected = [seen[site] for site in sites]

    def forward(self, delta: Float[Tensor, "problem d_model"]):
        """Return the target log-probabilities (problem, row, token), their mask, and the anchors' log-probabilities."""
        lm, per = self.lm, self.n_rows + self.anchored
        moved = self.base[:, 0] + delta.repeat_interleave(per, dim=0)
        hidden = torch.cat([moved[:, None], self.base[:, 1:]], dim=1)
        later = range(self.layer + 1, lm.arch.n_layers)
        store = KeyValues()
        store.layers = self.cache.layers
        if later:
            with mlp_only_at(lm, later[-1], self.wanted), self._known_projections():
                hidden = run_blocks(lm, hidden, later, positions=self.positions, mask=self.mask, cache=store)
        shape = (len(delta), per, -1)
        log_probs = self.reads.log_probs(lm, hidden).reshape(shape)[:, : self.n_rows]
        mask = self.reads.mask.reshape(shape)[:, : self.n_rows]
        anchors = logits(lm, hidden[per - 1 :: per, 0]).float().log_softmax(-1) if self.anchored else None
        return log_probs, mask, anchors


def _batches(problems: Sequence[VectorProblem], max_tokens: int) -> Iterator[list[int]]:
    """Group problems of like suffix and length so that a batch's padded texts hold at most `max_tokens` tokens."""
    order = sorted(range(len(problems)), key=lambda i: (-problems[i].suffix, -problems[i].length, i))
    batch: list[int] = []
    longest = 0
    for index in order:
        problem = problems[index]
        longest = max(longest, problem.length)
        rows = (len(batch) + 1) * (len(problem.rows) + 1)
        if batch and rows * longest > max_tokens:
            yield batch
            batch, longest = [], problem.length
        batch.append(index)
    if batch:
        yield batch


def optimise_vectors(
    lm: LM,
    problems: Sequence[VectorProblem],
    layer: int,
    *,
    site: Site = "mlp",
    settings: VectorSettings | None = None,
    objective: Objective = mean_nll,
    max_tokens: int = 2048,
) -> list[VectorResult]:
    """Find, for each problem, the vector δ after block `layer` that minimises its loss.

    loss = objective(log-probabilities of the targets) + kl_factor · KL(p ‖ p₀) at the anchor
    + weight_decay · ‖δ‖ / ‖v0‖²  (Eq. 4 of ROME as its code computes it).

    Args:
        problems: independent of each other; the result of one does not depend on the others.
        layer: block after which δ is added.
        site: what v0 is: output of the block's MLP (ROME) or of the block (MEMIT).
        settings: see `VectorSettings`; ROME's if absent.
        objective: the fit term; `mean_nll` makes the target likely, `mean_probability` unlikely.
        max_tokens: bound on the padded tokens of the texts of one batch; a batch has at least one problem. Memory grows
            with it, not with the number of problems.

    Returns:
        one result per problem, in order.

    Raises:
        NumericalError: a loss became NaN or infinite; the message names the case and the step.

    Cost: per step and problem, forward and backward of the blocks > layer at the positions ≥ lookup of its rows.
    """
    settings = settings or VectorSettings()
    lm.arch.block(layer)
    results: list[VectorResult | None] = [None] * len(problems)
    with fused_gelu(lm):
        for chosen in _batches(problems, max_tokens):
            batch = _Batch(lm, [problems[i] for i in chosen], layer, site)
            names = [problems[i].case for i in chosen]
            for i, result in zip(chosen, _search(batch, names, settings, objective), strict=True):
                results[i] = result
    return results


def _losses(
    batch: _Batch, delta: Tensor, anchors_before: Tensor | None, settings: VectorSettings, objective: Objective
) -> tuple[Float[Tensor, "problem 4"], Tensor | None]:
    """Return every problem's total, fit, KL and decay terms, and the anchors' log-probabilities before the edit."""
    log_probs, mask, anchors = batch.forward(delta)
    fit = objective(log_probs, mask)
    kl = torch.zeros_like(fit)
    if anchors is not None:
        anchors_before = anchors.detach() if anchors_before is None else anchors_before
        kl = settings.kl_factor * (anchors.exp() * (anchors - anchors_before)).sum(-1)
    decay = settings.weight_decay * delta.norm(dim=1) / batch.initial.norm(dim=1) ** 2
    return torch.stack([fit + kl + decay, fit, kl, decay], dim=1), anchors_before


def _search(batch: _Batch, names: list[str], settings: VectorSettings, objective: Objective) -> list[VectorResult]:
    """Run the descent of one batch until every problem has stopped."""
    initial = batch.initial
    found, history = torch.zeros_like(initial), [[] for _ in names]
    active = torch.arange(len(names), device=initial.device)
    delta, anchors_before = torch.zeros_like(initial), None
    adam = Adam(delta, settings.lr)
    for step in range(settings.n_steps):
        if step > 0:
            batch.redraw()
        with torch.enable_grad():
            delta.requires_grad_()
            terms, anchors_before = _losses(batch, delta, anchors_before, settings, objective)
            going = terms[:, 0].detach() >= settings.stop_below
            if step == settings.n_steps - 1 and not settings.update_last:
                going = torch.zeros_like(going)
            gradient = torch.autograd.grad(terms[:, 0].sum(), delta)[0] if going.any() else None
        delta = delta.detach()
        found[active] = delta
        for index, row in zip(active.tolist(), terms.detach().double().cpu(), strict=True):
            if not row.isfinite().all():
                raise NumericalError(
                    f"case {names[index]}: the loss became {float(row[0])} at step {step} of the vector search at "
                    f"layer {batch.layer}; lower the learning rate ({settings.lr}) or run in float32"
                )
            history[index].append(row)
        if gradient is None:
            break
        if not going.all():
            kept = going.nonzero()[:, 0]
            active, delta, gradient = active[kept], delta[kept], gradient[kept]
            anchors_before = None if anchors_before is None else anchors_before[kept]
            adam.keep(kept)
            batch.keep(kept)
        adam.step_(delta, gradient)
        limit = settings.clamp_norm_factor * batch.initial.norm(dim=1)
        delta *= (limit / delta.norm(dim=1)).clamp(max=1.0)[:, None]
        found[active] = delta
    return [
        VectorResult(delta, before, torch.stack(rows))
        for delta, before, rows in zip(found, initial, history, strict=True)
    ]
