"""MEMIT as the paper describes it, one search and one layer at a time: the yardstick for numbers and for speed.

Every pass runs the whole model on whole prompts and projects every position to the vocabulary; nothing is kept from one
layer to the next. Keys are read in batches of 128 prompts, as the authors do. Only tokenisation is shared with the
engine, so that agreement means something.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from papers.memit.hyperparams import MemitHyperparams
from shared.data.requests import EditRequest
from shared.model.models import LM, Architecture
from shared.model.tokens import Prompt, encode_prompt, target_ids

ROWS = 128


def _padded(lm: LM, texts: Sequence[Sequence[int]]) -> dict[str, Tensor]:
    width = max(map(len, texts))
    ids = torch.full((len(texts), width), lm.tokenizer.pad_token_id)
    mask = torch.zeros(len(texts), width, dtype=torch.long)
    for row, text in enumerate(texts):
        ids[row, : len(text)] = torch.tensor(text)
        mask[row, : len(text)] = 1
    return {"input_ids": ids.to(lm.device), "attention_mask": mask.to(lm.device)}


def _first(output: Tensor | tuple) -> Tensor:
    return output[0] if isinstance(output, tuple) else output


def search_one(
    lm: LM, request: EditRequest, prompts: Sequence[Prompt], settings: MemitHyperparams
) -> tuple[Tensor, Tensor, list[float]]:
    """Return δ, h and the losses of the search for one z (Eq. 16)."""
    target = target_ids(lm, request.target_new)
    essence = encode_prompt(lm, "{} is a", request.subject, settings.fact_token)
    texts = [[*prompt.ids, *target[:-1]] for prompt in prompts] + [essence.ids]
    batch = _padded(lm, texts)
    lookups = [prompt.lookup for prompt in prompts] + [essence.lookup]
    wanted = torch.full(batch["input_ids"].shape, -100)[:-1].to(lm.device)
    for row, text in enumerate(texts[:-1]):
        wanted[row, len(text) - len(target) : len(text)] = torch.tensor(target)
    mask = (wanted != -100).float()
    delta = torch.zeros(lm.arch.d_model, device=lm.device, requires_grad=True)
    initial = before = None
    losses: list[float] = []

    def add_delta(_module: nn.Module, _args: tuple, output: Tensor | tuple) -> Tensor | tuple:
        nonlocal initial
        hidden = _first(output)
        if initial is None:
            initial = hidden[0, lookups[0]].detach().clone()
        hidden = hidden.clone()
        for row, lookup in enumerate(lookups):
            hidden[row, lookup] += delta
        return (hidden, *output[1:]) if isinstance(output, tuple) else hidden

    adam = torch.optim.Adam([delta], lr=settings.lr)
    handle = lm.arch.block(settings.z_layer).register_forward_hook(add_delta)
    for step in range(settings.n_steps):
        adam.zero_grad()
        logits = lm.model(**batch, use_cache=False).logits
        now = logits[-1, essence.lookup].log_softmax(-1)
        before = now.detach() if before is None else before
        chosen = logits[:-1].log_softmax(-1).gather(2, wanted.clamp(min=0)[..., None])[..., 0]
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


@torch.no_grad()
def states_at_lookup(lm: LM, prompts: Sequence[Prompt], module: nn.Module, *, inputs: bool) -> Tensor:
    """Return what enters or leaves a module at each prompt's lookup position, by whole passes of whole prompts."""
    found = []
    for start in range(0, len(prompts), ROWS):
        chosen, seen = prompts[start : start + ROWS], []
        handle = module.register_forward_hook(
            lambda _m, args, output, seen=seen: seen.append(args[0] if inputs else _first(output))
        )
        lm.model(**_padded(lm, [prompt.ids for prompt in chosen]), use_cache=False)
        handle.remove()
        found += [seen[0][row, prompt.lookup] for row, prompt in enumerate(chosen)]
    return torch.stack(found)


def attention_out(lm: LM, layer: int) -> nn.Module:
    """Return the output projection of a layer's attention, by its name in each family."""
    names = {"gpt2": "c_proj", "gptj": "out_proj", "gpt_neox": "dense", "llama": "o_proj"}
    return getattr(lm.arch.attention(layer), names[lm.arch.family])


@torch.no_grad()
def insert_all(
    lm: LM,
    prompts: Sequence[Sequence[Prompt]],
    targets: Tensor,
    settings: MemitHyperparams,
    second_moments: dict[int, Tensor],
) -> list[Tensor]:
    """Return the change of each layer's weights, (d_in, d_out), edited one layer after another (Algorithm 1)."""
    changes, originals = [], []
    for place, layer in enumerate(settings.layers):
        module = lm.arch.mlp_out(layer) if settings.site == "mlp" else attention_out(lm, layer)
        every = [prompt for contexts in prompts for prompt in contexts]
        states = states_at_lookup(lm, every, module, inputs=True).double().unflatten(0, (len(prompts), -1))
        plain_key = states[:, 0]
        keys = ((plain_key + states[:, 1:].mean(1)) / 2 if states.shape[1] > 1 else plain_key).T  # (d_in, request)
        plain = [contexts[0] for contexts in prompts]
        current = states_at_lookup(lm, plain, lm.arch.block(settings.z_layer), inputs=False)
        share = (targets - current).double().T / (len(settings.layers) - place)  # (d_model, request)
        matrix = settings.update_weight * second_moments[layer].to(keys.device) + keys @ keys.T
        change = (share @ torch.linalg.solve(matrix, keys).T).T
        changes.append(change)
        originals.append((module, module.weight.clone()))
        stored = change if Architecture.input_first(module) else change.T
        module.weight += stored.to(module.weight.dtype)
    for module, original in originals:
        module.weight.copy_(original)
    return changes
