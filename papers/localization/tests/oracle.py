"""The grid one edit at a time, as the authors run it: the yardstick for numbers and for speed.

Everything goes through the Hugging Face model on whole padded texts; of the engine nothing is used but tokenisation and
putting a change into the weights.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from shared.data.requests import Case, EditRequest
from shared.data.templates import fill
from shared.edits.deltas import UNEDITED, Edit, WeightDelta, applied
from shared.fit.contexts import in_contexts
from shared.fit.fitting import OBJECTIVES, Row, teacher_forced
from shared.fit.optimise import VectorProblem, VectorSettings
from shared.model.models import LM, Architecture
from shared.model.tokens import Prompt, encode_prompt, target_ids
from shared.tests.search_oracle import plain_search

NEW_TOKENS = 36
TOP_K = 5


@torch.no_grad()
def continue_one(lm: LM, prompt: str) -> str:
    """Continue a prompt greedily, keys and values in the model's own cache."""
    grown = lm.tokenizer(prompt)["input_ids"]
    step, cache, first = torch.tensor([grown]), None, len(grown)
    for _ in range(NEW_TOKENS):
        output = lm.model(step, past_key_values=cache, use_cache=True)
        step, cache = output.logits[:, -1:].argmax(-1), output.past_key_values
        grown.append(int(step))
    return lm.tokenizer.decode(grown[first:], skip_special_tokens=True)


@torch.no_grad()
def sample_one(lm: LM, prompt: str, length: int, seeds: Sequence[int]) -> list[list[int]]:
    """Sample one text per seed to `length` tokens (top-k 5) as one batch, keys and values in the model's own cache."""
    rows = torch.tensor([lm.tokenizer(prompt)["input_ids"]] * len(seeds))
    draws = torch.stack([torch.rand(length, generator=torch.Generator().manual_seed(seed)) for seed in seeds])
    step, cache = rows, None
    while rows.shape[1] < length:
        output = lm.model(step, past_key_values=cache, use_cache=True)
        best, tokens = output.logits[:, -1].topk(TOP_K)
        choice = (best.softmax(-1).cumsum(-1) < draws[:, rows.shape[1], None]).sum(-1).clamp(max=TOP_K - 1)
        step, cache = tokens.gather(1, choice[:, None]), output.past_key_values
        rows = torch.cat([rows, step], dim=1)
    return rows.tolist()


@torch.no_grad()
def perplexity_one(lm: LM, text: list[int]) -> float:
    """Return exp(−Σ log p / N) of one text, from one pass of the model."""
    ids = torch.tensor([text])
    log_probs = lm.model(ids).logits[0, :-1].log_softmax(-1)
    return float((-log_probs.gather(1, ids[0, 1:, None]).sum() / len(text)).exp())


@torch.no_grad()
def score_one(lm: LM, prompts: Sequence[str], targets: Sequence[str], noises: Sequence[Tensor | None]) -> list[float]:
    """Return the summed log-probability of each target after its prompt, all as one padded batch with all logits."""
    begun = [lm.tokenizer(prompt)["input_ids"] for prompt in prompts]
    wanted = [lm.tokenizer(f" {target}")["input_ids"] for target in targets]
    texts = [torch.tensor([*ids, *target]) for ids, target in zip(begun, wanted, strict=True)]
    ids = torch.nn.utils.rnn.pad_sequence(texts, batch_first=True)
    embedded = lm.arch.embedding(ids).clone()
    for line, noise in enumerate(noises):
        if noise is not None:
            embedded[line, : len(noise)] += noise
    mask = torch.arange(ids.shape[1]) < torch.tensor([len(text) for text in texts])[:, None]
    log_probs = lm.model(inputs_embeds=embedded, attention_mask=mask.long()).logits.log_softmax(-1)
    return [
        float(sum(log_probs[line, len(prompt) - 1 + k, token] for k, token in enumerate(target)))
        for line, (prompt, target) in enumerate(zip(begun, wanted, strict=True))
    ]


def ask_one(lm: LM, case: Case, target: str, baseline: str) -> list[float]:
    """Ask all prompts of a case for both objects, as the authors do around every edit; return the target's."""
    prompts = [fill(case.request.prompt, case.request.subject), *case.paraphrase_prompts, *case.neighborhood_prompts]
    doubled = [prompt for prompt in prompts for _ in range(2)]
    return score_one(lm, doubled, [target, baseline] * len(prompts), [None] * len(doubled))[::2]


@torch.no_grad()
def _in_and_out(lm: LM, prompts: Sequence[Prompt], layer: int) -> tuple[Tensor, Tensor]:
    """Return input and output of the down projection at the lookup positions, from one padded pass of the model."""
    ids = torch.nn.utils.rnn.pad_sequence([torch.tensor(prompt.ids) for prompt in prompts], batch_first=True)
    lookups, seen = [prompt.lookup for prompt in prompts], {}

    def watch(_module: torch.nn.Module, args: tuple, output: Tensor) -> None:
        seen["found"] = args[0][range(len(ids)), lookups], output[range(len(ids)), lookups]

    handle = lm.arch.mlp_out(layer).register_forward_hook(watch)
    lm.model(ids)
    handle.remove()
    return seen["found"]


def rome_one(
    lm: LM,
    request: EditRequest,
    contexts: Sequence[str],
    layer: int,
    settings: VectorSettings,
    inverse: Tensor,
    objective: str = "maximise",
) -> Edit:
    """Edit one fact in one layer by ROME.

    Args:
        inverse: C⁻¹, computed once outside, as the authors cache it.
    """
    prompts = in_contexts(lm, request, contexts, "subject_last")
    direction = inverse @ _in_and_out(lm, prompts, layer)[0].mean(0)
    direction = direction / direction.norm()
    target, essence = target_ids(lm, request.target_new), encode_prompt(lm, "{} is a", request.subject)
    problem = VectorProblem(
        str(request.case_id),
        [teacher_forced(prompt.ids, target) for prompt in prompts],
        [prompt.lookup for prompt in prompts],
        Row(essence.ids[: essence.lookup + 1]),
    )
    delta, initial, _ = plain_search(lm, problem, settings, layer, objective=OBJECTIVES[objective])
    keys, values = _in_and_out(lm, prompts[:1], layer)
    right = (initial + delta - values[0]) / (keys[0] @ direction)
    return Edit((WeightDelta(lm.arch.name_of(lm.arch.mlp_out(layer)), direction[:, None], right[None]),))


def tune_one(
    lm: LM, request: EditRequest, layers: Sequence[int], *, lr: float, bound: float, n_steps: int, erase: bool = False
) -> Edit:
    """Fine-tune the down projections of some layers to one fact and put the weights back."""
    modules = [lm.arch.mlp_out(layer) for layer in layers]
    parameters = [parameter for module in modules for parameter in (module.weight, module.bias)]
    originals = [parameter.detach().clone() for parameter in parameters]
    prompt, target = encode_prompt(lm, request.prompt, request.subject), target_ids(lm, request.target_new)
    ids, first = torch.tensor([[*prompt.ids, *target]]), len(prompt.ids) - 1
    for parameter in parameters:
        parameter.requires_grad_(True)
    adam = torch.optim.Adam(parameters, lr=lr)
    for _ in range(n_steps):
        adam.zero_grad()
        log_probs = lm.model(ids, use_cache=False).logits[0].log_softmax(-1)
        total = log_probs[range(first, first + len(target)), target].sum()
        loss = total.exp() if erase else -total
        if loss < 1e-2:
            break
        loss.backward()
        adam.step()
        with torch.no_grad():
            for parameter, original in zip(parameters, originals, strict=True):
                parameter.copy_(parameter.clamp(original - bound, original + bound))
    deltas = []
    with torch.no_grad():
        changes = [parameter.detach() - original for parameter, original in zip(parameters, originals, strict=True)]
        for parameter, original in zip(parameters, originals, strict=True):
            parameter.copy_(original)
            parameter.requires_grad_(False)
            parameter.grad = None
    for module, weight, bias in zip(modules, changes[::2], changes[1::2], strict=True):
        dense = weight if Architecture.input_first(module) else weight.T
        deltas.append(WeightDelta(lm.arch.name_of(module), dense=dense, bias=bias))
    return Edit(tuple(deltas))


def edit_and_ask_one(
    lm: LM, case: Case, edit: Edit, target: str, baseline: str, length: int = 0, seeds: Sequence[int] = ()
) -> list[float]:
    """Do what the authors do around every edit: check that the fact is known, sample texts about its subject, ask after
    the edit, undo it, and ask before it.

    Args:
        length, seeds: tokens and seed of each text.

    Returns:
        log-probabilities and, after those of each state, the texts' mean perplexity if there are any.
    """
    continue_one(lm, fill(case.request.prompt, case.request.subject))
    texts = sample_one(lm, f"{case.request.subject} is a", length, seeds) if seeds else []
    found = []
    for state in (edit, UNEDITED):
        with applied(lm, state):
            found += ask_one(lm, case, target, baseline)
            found += [sum(perplexity_one(lm, text) for text in texts) / len(texts)] if texts else []
    return found
