"""Integrated gradients of the answer's probability (Sundararajan et al. 2017): over hidden states, and of any path.

`path_gradient` integrates a gradient along the straight path from zero under any quadrature; Knowledge Neurons uses it
with Riemann sums over the neurons of one layer. The rest is ROME's map over a prompt's hidden states (App. B.3,
Fig. 16).

For the outputs x of one kind of module in one layer, at all tokens together, with the rest of the network computed from
them (Sundararajan et al. 2017, arXiv:1703.01365, Eq. 1, baseline zero):

    IG(x) = x ⊙ ∫₀¹ ∂P(α·x)/∂x dα

by Gauss–Legendre quadrature. The map shows the Euclidean norm of IG at each token and layer. The paper states the 50
nodes and the norm; that the path scales all tokens of a layer together from zero is this project's choice (it is what
the standard library for layer attributions does), since the authors' code is not public.

Summed over tokens and entries, IG equals P(x) − P(0) (completeness). For block outputs this holds only to the extent
that the quadrature resolves the neighbourhood of 0, where layer normalisation makes P change abruptly.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from shared.model.forward import embed, logits, run_blocks
from shared.model.hooks import replace
from shared.model.models import LM
from shared.traces.trace_runs import MAX_TOKENS, TracedFact
from shared.traces.tracing import RestorationKind
from shared.traces.wavefront import SITES, Run, greedy_tokens, record, site_module

STEPS = 50


@dataclass(frozen=True)
class GradientMap:
    """Integrated gradients of one fact for one kind of module.

    Attributes:
        norms: ‖IG‖₂ for each token and layer.
        totals: IG summed over tokens and entries, by layer.
        differences: P(x) − P(0), by layer; equal to `totals` up to quadrature.
    """

    norms: Float[Tensor, "pos layer"]
    totals: Float[Tensor, " layer"]
    differences: Float[Tensor, " layer"]


def gauss_legendre(steps: int) -> tuple[Float[Tensor, " step"], Float[Tensor, " step"]]:
    """Return nodes and weights of the quadrature on [0, 1]; exact for polynomials of degree below 2·steps."""
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    return torch.from_numpy((nodes + 1) / 2).float(), torch.from_numpy(weights / 2).float()


GRIDS = ("left", "right", "inclusive")


def riemann(steps: int, grid: str) -> tuple[Float[Tensor, " step"], Float[Tensor, " step"]]:
    """Return nodes and weights of a Riemann sum on [0, 1]; each of its `steps` nodes weighs 1/steps.

    Args:
        grid: `left`: 0, 1/m, …, (m−1)/m; `right`: 1/m, …, 1; `inclusive`: both ends, 1/(m−1) apart.

    Raises:
        ValueError: an unknown grid, or too few steps for it.
    """
    if grid not in GRIDS or steps < 1:
        raise ValueError(f"grid {grid!r} with {steps} steps; expected one of {', '.join(GRIDS)} and at least one step")
    whole = torch.arange(steps, dtype=torch.float32)
    nodes = {"left": whole / steps, "right": (whole + 1) / steps, "inclusive": torch.linspace(0, 1, steps)}[grid]
    return nodes, torch.full((steps,), 1 / steps)


def path_gradient(
    value: Callable[[Tensor], Tensor],
    end: Float[Tensor, "*shape"],
    nodes: Float[Tensor, " step"],
    weights: Float[Tensor, " step"],
    batch: int,
) -> Float[Tensor, "*shape"]:
    """Return ∫₀¹ ∇v(α·end) dα under a quadrature; times `end` it is the integrated gradient from zero.

    Args:
        value: maps (step, *shape) points, each independent of the others, to their values (any shape that is summed).
        end: end of the path.
        nodes, weights: the quadrature, from `gauss_legendre` or `riemann`.
        batch: points of one forward and backward pass.
    """
    slope = torch.zeros_like(end)
    for first in range(0, len(nodes), batch):
        alphas, shares = (part[first : first + batch].view(-1, *[1] * end.ndim) for part in (nodes, weights))
        scaled = (alphas * end).requires_grad_()
        with torch.enable_grad():
            total = value(scaled).sum()
        [gradient] = torch.autograd.grad(total, scaled)
        slope += (shares * gradient).sum(0)
    return slope


def _probability(
    lm: LM, run: Run, kind: RestorationKind, layer: int, values: Float[Tensor, "step pos d_model"], *, answer: int
) -> Float[Tensor, " step"]:
    """Return P(answer) when the kind's output in `layer` is `values`, differentiably."""
    hidden = values
    if kind != "state":
        before = run.before(layer).expand(len(values), -1, -1)
        with replace([site_module(lm, kind, layer)], lambda _index, _output: values):
            hidden = run_blocks(lm, before, [layer])
    if layer + 1 < lm.arch.n_layers:
        hidden = run_blocks(lm, hidden, range(layer + 1, lm.arch.n_layers))
    return logits(lm, hidden[:, -1]).softmax(-1)[:, answer]


def integrated_gradients(
    lm: LM,
    fact: TracedFact,
    kinds: Sequence[RestorationKind] = ("state", "mlp", "attention"),
    *,
    steps: int = STEPS,
    max_tokens: int = MAX_TOKENS,
) -> dict[str, GradientMap]:
    """Return the integrated gradients of the model's own next token for each kind.

    Args:
        fact: the prompt (its target, if any, is not used).
        kinds: which outputs: of blocks, of their MLPs, of their attention.
        steps: quadrature nodes.
        max_tokens: bound on the tokens of one forward and backward pass.

    Cost: per kind, steps·L/2 forward and backward passes over the prompt's blocks.
    """
    with torch.no_grad():
        run = record(lm, embed(lm, torch.tensor([fact.ids], device=lm.device)), SITES)
        answer = int(greedy_tokens(lm, run.after[-1][:, -1]))
    return {kind: _map(lm, run, kind, answer, steps, max(1, max_tokens // len(fact.ids))) for kind in kinds}


def _map(lm: LM, run: Run, kind: RestorationKind, answer: int, steps: int, batch: int) -> GradientMap:
    nodes, weights = (values.to(lm.device) for values in gauss_legendre(steps))
    norms, totals, differences = [], [], []
    for layer in range(lm.arch.n_layers):
        end = (run.after if kind == "state" else run.outputs[kind])[layer]
        value = partial(_probability, lm, run, kind, layer, answer=answer)
        attribution = end[0] * path_gradient(value, end[0], nodes, weights, batch)
        with torch.no_grad():
            edges = _probability(lm, run, kind, layer, torch.cat([end, torch.zeros_like(end)]), answer=answer)
        norms.append(attribution.norm(dim=-1).cpu())
        totals.append(attribution.sum().cpu())
        differences.append((edges[0] - edges[1]).cpu())
    return GradientMap(torch.stack(norms, 1), torch.stack(totals), torch.stack(differences))
