"""A search for a hidden vector as the authors run it: every step passes all padded texts through the whole model."""

import torch
from torch import Tensor

from shared.fit.fitting import Objective, mean_nll
from shared.fit.optimise import Site, VectorProblem, VectorSettings
from shared.model.models import LM


def plain_search(
    lm: LM,
    problem: VectorProblem,
    settings: VectorSettings,
    layer: int,
    site: Site = "mlp",
    objective: Objective = mean_nll,
) -> tuple[Tensor, Tensor, list[float]]:
    """Return δ, v0 and the loss of every step; uses nothing of the engine but the problem's texts."""
    rows, lookups = [*problem.rows, problem.anchor], [*problem.lookups, len(problem.anchor.ids) - 1]
    lengths = torch.tensor([len(row.ids) for row in rows])
    ids = torch.nn.utils.rnn.pad_sequence([torch.tensor(list(row.ids)) for row in rows], batch_first=True)
    embedded = lm.arch.embedding(ids).detach().clone()
    for line, row in enumerate(rows):
        if row.noise is not None:
            embedded[line, : len(row.noise)] += row.noise
    inputs = {"inputs_embeds": embedded, "attention_mask": (torch.arange(ids.shape[1]) < lengths[:, None]).long()}
    width = max(len(row.tokens) for row in problem.rows)
    tokens, places = torch.zeros(2, len(problem.rows), width, dtype=torch.long)
    mask = torch.zeros(len(problem.rows), width, dtype=torch.bool)
    for line, row in enumerate(problem.rows):
        count = len(row.tokens)
        tokens[line, :count], places[line, :count] = torch.tensor(row.tokens), torch.tensor(list(row.positions))
        mask[line, :count] = True

    delta = torch.zeros(lm.arch.d_model, requires_grad=True)
    adam = torch.optim.Adam([delta], lr=settings.lr)
    initial = before = None
    losses: list[float] = []

    def add_delta(_module: torch.nn.Module, _args: tuple, output: Tensor | tuple) -> Tensor | tuple:
        nonlocal initial
        hidden = output[0] if isinstance(output, tuple) else output
        if initial is None:
            initial = hidden[0, lookups[0]].detach().clone()
        moved = hidden.clone()
        moved[range(len(rows)), lookups] += delta
        return (moved, *output[1:]) if isinstance(output, tuple) else moved

    handle = (lm.arch.mlp(layer) if site == "mlp" else lm.arch.block(layer)).register_forward_hook(add_delta)
    for step in range(settings.n_steps):
        adam.zero_grad()
        log_probs = lm.model(**inputs, use_cache=False).logits.log_softmax(-1)
        anchor = log_probs[-1, lookups[-1]]
        before = anchor.detach() if before is None else before
        picked = log_probs[torch.arange(len(problem.rows))[:, None], places, tokens]
        fit = objective(torch.where(mask, picked, 0.0)[None], mask[None])[0]
        kl = settings.kl_factor * (anchor.exp() * (anchor - before)).sum()
        loss = fit + kl + settings.weight_decay * delta.norm() / initial.norm() ** 2
        losses.append(loss.item())
        if loss < settings.stop_below or (step == settings.n_steps - 1 and not settings.update_last):
            break
        loss.backward()
        adam.step()
        limit = settings.clamp_norm_factor * initial.norm()
        if delta.norm() > limit:
            with torch.no_grad():
                delta.mul_(limit / delta.norm())
    handle.remove()
    return delta.detach(), initial, losses
