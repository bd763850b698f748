"""ROME one fact at a time, in the way the authors' code does it: the yardstick for numbers and for speed.

Every step of the search runs the whole model on all 22 padded texts and projects every position to the vocabulary. It
uses nothing of the engine but tokenisation, so that agreement means something.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from papers.rome.hyperparams import RomeHyperparams
from shared.data.requests import EditRequest
from shared.data.templates import fill
from shared.model.models import LM
from shared.model.tokens import Prompt, encode_prompt, target_ids


@dataclass(frozen=True)
class OneEdit:
    """What the one-at-a-time edit computed."""

    direction: Tensor
    delta: Tensor
    value: Tensor
    right: Tensor
    losses: list[float]


def _padded(lm: LM, texts: Sequence[Sequence[int]]) -> dict[str, Tensor]:
    width = max(map(len, texts))
    ids = torch.full((len(texts), width), lm.tokenizer.pad_token_id)
    mask = torch.zeros(len(texts), width, dtype=torch.long)
    for row, text in enumerate(texts):
        ids[row, : len(text)] = torch.tensor(text)
        mask[row, : len(text)] = 1
    return {"input_ids": ids.to(lm.device), "attention_mask": mask.to(lm.device)}


@torch.no_grad()
def _in_and_out(lm: LM, prompts: Sequence[Prompt], layer: int) -> tuple[Tensor, Tensor]:
    seen = []
    handle = lm.arch.mlp_out(layer).register_forward_hook(lambda _m, args, output: seen.append((args[0], output)))
    lm.model(**_padded(lm, [prompt.ids for prompt in prompts]), use_cache=False)
    handle.remove()
    rows, places = torch.arange(len(prompts)), torch.tensor([prompt.lookup for prompt in prompts])
    return seen[0][0][rows, places], seen[0][1][rows, places]


def search_one(lm: LM, request: EditRequest, prompts: Sequence[Prompt], layer: int, settings: RomeHyperparams):
    """Return delta, v0 and the losses of the search for v*."""
    target = target_ids(lm, request.target_new)
    essence = encode_prompt(lm, "{} is a", request.subject, settings.fact_token)
    texts = [[*prompt.ids, *target[:-1]] for prompt in prompts] + [essence.ids]
    batch = _padded(lm, texts)
    lookups = torch.tensor([prompt.lookup for prompt in prompts] + [essence.lookup])
    wanted = torch.full(batch["input_ids"].shape, -100)[:-1]
    for row, text in enumerate(texts[:-1]):
        wanted[row, len(text) - len(target) : len(text)] = torch.tensor(target)
    mask = (wanted != -100).float()
    delta = torch.zeros(lm.arch.d_model, requires_grad=True)
    initial = before = None
    losses: list[float] = []

    def add_delta(_module, _args, output: Tensor) -> Tensor:
        nonlocal initial
        if initial is None:
            initial = output[0, lookups[0]].detach().clone()
        output = output.clone()
        for row, lookup in enumerate(lookups):
            output[row, lookup] += delta
        return output

    adam = torch.optim.Adam([delta], lr=settings.lr)
    handle = lm.arch.mlp(layer).register_forward_hook(add_delta)
    for step in range(settings.n_steps):
        adam.zero_grad()
        logits = lm.model(**batch, use_cache=False).logits
        now = logits[-1, essence.lookup].log_softmax(-1)
        before = now.detach() if before is None else before
        log_probs = logits[:-1].log_softmax(-1)
        chosen = log_probs.gather(2, wanted.clamp(min=0)[..., None])[..., 0]
        nll = (-(chosen * mask).sum(1) / len(target)).mean()
        kl = settings.kl_factor * torch.nn.functional.kl_div(before, now, log_target=True, reduction="sum")
        loss = nll + kl + settings.weight_decay * delta.norm() / initial.norm() ** 2
        losses.append(loss.item())
        if loss < settings.stop_below or step == settings.n_steps - 1:
            break
        loss.backward()
        adam.step()
        limit = settings.clamp_norm_factor * initial.norm()
        if delta.norm() > limit:
            with torch.no_grad():
                delta.mul_(limit / delta.norm())
    handle.remove()
    return delta.detach(), initial, losses


def edit_one(
    lm: LM,
    request: EditRequest,
    contexts: Sequence[str],
    layer: int,
    settings: RomeHyperparams,
    inverse_moment: Tensor | None = None,
) -> OneEdit:
    """Edit one fact in one layer.

    Args:
        inverse_moment: C⁻¹, computed once outside as the authors cache it; None for u = k.
    """
    prompts = [
        encode_prompt(lm, fill(context, request.prompt), request.subject, settings.fact_token) for context in contexts
    ]
    mean_key = _in_and_out(lm, prompts, layer)[0].mean(0)
    direction = mean_key if inverse_moment is None else inverse_moment @ mean_key
    direction = direction / direction.norm()
    delta, initial, losses = search_one(lm, request, prompts, layer, settings)
    keys, values = _in_and_out(lm, prompts[:1], layer)
    right = (initial + delta - values[0]) / (keys[0] @ direction)
    return OneEdit(direction, delta, initial + delta, right, losses)


def tune_one(
    lm: LM,
    request: EditRequest,
    module: torch.nn.Module,
    *,
    lr: float,
    norm_constraint: float | None,
    n_steps: int = 25,
) -> tuple[Tensor, Tensor, list[float]]:
    """Fine-tune one module to one fact and put the weights back.

    Returns:
        change of the weight as stored, change of the bias, and the loss of each epoch.
    """
    prompt = encode_prompt(lm, request.prompt, request.subject)
    target = torch.tensor(target_ids(lm, request.target_new))
    parameters = [module.weight, module.bias]
    originals = [parameter.detach().clone() for parameter in parameters]
    for parameter in parameters:
        parameter.requires_grad_(True)
    adam = torch.optim.Adam(parameters, lr=lr)
    losses: list[float] = []
    for _ in range(n_steps):
        adam.zero_grad()
        log_probs = lm.model(**_padded(lm, [prompt.ids]), use_cache=False).logits[0, -1].log_softmax(-1)
        loss = -log_probs[target].mean()
        losses.append(loss.item())
        if losses[-1] < 1e-2:
            break
        loss.backward()
        adam.step()
        if norm_constraint is not None:
            with torch.no_grad():
                for parameter, original in zip(parameters, originals, strict=True):
                    parameter.copy_(parameter.clamp(original - norm_constraint, original + norm_constraint))
    changes = []
    with torch.no_grad():
        for parameter, original in zip(parameters, originals, strict=True):
            changes.append(parameter.detach() - original)
            parameter.copy_(original)
            parameter.requires_grad_(False)
            parameter.grad = None
    return changes[0], changes[1], losses
