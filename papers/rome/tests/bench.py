"""What ROME's engine is measured against: the authors' way, one fact, one cell, one layer at a time."""

import logging
from collections.abc import Iterator

import torch

from papers.rome.context import context_templates
from papers.rome.editor import RomeEditor
from papers.rome.hyperparams import RomeHyperparams
from papers.rome.tests.oracle import edit_one, search_one
from papers.rome.value import target_values
from shared.data.probes import GENERATION, ProbeRow, probes_of
from shared.data.requests import Case
from shared.data.templates import fill
from shared.editing.evaluate import EvaluationOptions, GenerationOptions, evaluate_single
from shared.edits.deltas import UNEDITED, Edit, WeightDelta, applied
from shared.fit.contexts import in_contexts
from shared.fit.moments import collect
from shared.fit.second_moment import SecondMoments
from shared.inference.generation import clean_generated
from shared.model.models import LM
from shared.seeding import seed_for
from shared.tests.tracing_oracle import Oracle
from shared.traces.noise import make_noise
from shared.traces.trace_runs import Corruption, make_fact
from shared.traces.tracing import STATE, Restoration, trace_facts
from tests.bench import Comparison, Setup

TRACED = 4
LENGTH = 100
TOP_K = 5

log = logging.getLogger(__name__)


@torch.no_grad()
def score_one(lm: LM, case: Case) -> list[float]:
    """Score a case as the authors do: all prompts with both targets as one padded batch, logits everywhere."""
    probes = probes_of(case, "counterfact")
    pairs = [(probe.prompt, target) for probe in probes for target in (probe.target_new, probe.target_true)]
    starts = [len(lm.tokenizer(prompt)["input_ids"]) for prompt, _ in pairs]
    batch = lm.tokenizer([f"{prompt} {target}" for prompt, target in pairs], padding=True, return_tensors="pt")
    ids, lengths = batch["input_ids"].to(lm.device), batch["attention_mask"].sum(1).tolist()
    log_probs = lm.model(input_ids=ids, attention_mask=batch["attention_mask"].to(lm.device)).logits.log_softmax(-1)
    return [
        float(log_probs[row, range(start - 1, stop - 1), ids[row, start:stop]].mean())
        for row, (start, stop) in enumerate(zip(starts, lengths, strict=True))
    ]


@torch.no_grad()
def generate_one(lm: LM, case: Case) -> list[str]:
    """Continue a case's generation prompts as the authors do: one batch in lockstep, keys and values in the cache."""
    prompts = [lm.tokenizer(prompt)["input_ids"] for prompt in case.generation_prompts]
    draws = torch.stack([_draws(case, index) for index in range(len(prompts))]).to(lm.device)
    rows = torch.zeros(len(prompts), LENGTH, dtype=torch.long, device=lm.device)
    for row, prompt in enumerate(prompts):
        rows[row, : len(prompt)] = torch.tensor(prompt)
    lengths = torch.tensor([len(prompt) for prompt in prompts], device=lm.device)
    start, stop, cache = 0, int(lengths.min()), None
    while stop < LENGTH:
        output = lm.model(rows[:, start:stop], past_key_values=cache, use_cache=True)
        best, tokens = output.logits[:, -1].topk(TOP_K)
        choice = (best.softmax(-1).cumsum(-1) < draws[:, stop, None]).sum(-1).clamp(max=TOP_K - 1)
        sampled = tokens.gather(1, choice[:, None])[:, 0]
        rows[:, stop] = torch.where(stop >= lengths, sampled, rows[:, stop])
        start, stop, cache = stop, stop + 1, output.past_key_values
    return [clean_generated(lm.tokenizer.decode(row)) for row in rows]


def _draws(case: Case, index: int) -> torch.Tensor:
    seed = seed_for("generation", 0, case.case_id, index)
    return torch.rand(LENGTH, generator=torch.Generator().manual_seed(seed))


def edit_and_score_one_by_one(setup: Setup, contexts: list[str], inverse: torch.Tensor) -> tuple[list, list]:
    """Edit, score, restore and score each case on its own; return mean log-probabilities and texts."""
    lm, settings, found, texts = setup.lm, RomeHyperparams((setup.layer,)), [], []
    module = lm.arch.name_of(lm.arch.mlp_out(setup.layer))
    for case in setup.cases:
        made = edit_one(lm, case.request, contexts, setup.layer, settings, inverse)
        edit = Edit((WeightDelta(module, made.direction[:, None], made.right[None]),))
        for state in (UNEDITED, edit):
            with applied(lm, state):
                found += score_one(lm, case)
                texts += generate_one(lm, case)
    return found, texts


def edit_and_score_together(setup: Setup, editor: RomeEditor) -> tuple[list, list]:
    """Do the same with the engine."""
    options = EvaluationOptions(generation=GenerationOptions(LENGTH, TOP_K), edit_batch=len(setup.cases))
    rows = list(evaluate_single(setup.lm, editor, setup.cases, options))
    return [value for row in rows for value in _means(row)], [row.text for row in rows if row.kind == GENERATION]


def _means(row: ProbeRow) -> list[float]:
    sides = (row.logprobs_new, row.logprobs_true)
    return [sum(values) / len(values) for values in sides if values is not None]


def _largest(slow: tuple[list, list], fast: tuple[list, list]) -> float:
    different = sum(one != other for one, other in zip(slow[1], fast[1], strict=True))
    log.info("%d of %d generated texts differ", different, len(slow[1]))
    return max(abs(one - other) for one, other in zip(slow[0], fast[0], strict=True))


def _largest_relative(slow: list[torch.Tensor], fast: list[torch.Tensor]) -> float:
    return max(float((one - other).norm() / one.norm()) for one, other in zip(slow, fast, strict=True))


def comparisons(setup: Setup) -> Iterator[Comparison]:
    """Yield ROME's comparisons: editing with evaluation, the search for v*, tracing, second moments."""
    lm, layer = setup.lm, setup.layer
    contexts = context_templates(lm)
    layers = list(range(lm.arch.n_layers))
    moments = collect(lm, setup.corpus, layers)
    inverse = moments.moment(layer).inverse().float()
    editor = RomeEditor(moments=moments, contexts=contexts, layers=(layer,))
    yield Comparison(
        f"{len(setup.cases)} ROME edits, each with the whole CounterFact evaluation before and after",
        10,
        lambda: edit_and_score_one_by_one(setup, contexts, inverse),
        lambda: edit_and_score_together(setup, editor),
        _largest,
        "nats",
    )
    settings = RomeHyperparams((layer,))
    requests = [case.request for case in setup.cases]
    prompts = [in_contexts(lm, request, contexts, "subject_last") for request in requests]
    yield Comparison(
        f"search for v* of {len(requests)} requests",
        8,
        lambda: [search_one(lm, *pair, layer, settings)[0] for pair in zip(requests, prompts, strict=True)],
        lambda: [found.delta for found in target_values(lm, requests, prompts, layer, settings)],
        _largest_relative,
        "relative",
    )
    yield _tracing(setup)
    yield _moments(setup, layers)


def _tracing(setup: Setup) -> Comparison:
    lm = setup.lm
    requests = [case.request for case in setup.cases[:TRACED]]
    facts = [
        make_fact(lm, fill(request.prompt, request.subject), request.subject, fact_id=request.case_id)
        for request in requests
    ]
    corruption = Corruption(make_noise(lm, "s3", [request.subject for request in requests]))
    restorations = [STATE, Restoration("mlp", 3), Restoration("attention", 3)]
    return Comparison(
        f"causal traces of {len(facts)} facts (states, MLP, attention)",
        10,
        lambda: [Oracle(lm, fact, corruption).scores(one) for fact in facts for one in restorations],
        lambda: [
            trace.scores[one] for trace in trace_facts(lm, facts, restorations, corruption) for one in restorations
        ],
        lambda slow, fast: max(float((one - other).abs().max()) for one, other in zip(slow, fast, strict=True)),
        "probability",
    )


def _moments(setup: Setup, layers: list[int]) -> Comparison:
    def sums(found: SecondMoments) -> list[torch.Tensor]:
        return [found.moment(layer) for layer in found.layers]

    return Comparison(
        f"second moments of {len(layers)} layers, a pass each or one pass for all",
        None,
        lambda: [sums(collect(setup.lm, setup.corpus, [layer]))[0] for layer in layers],
        lambda: sums(collect(setup.lm, setup.corpus, layers)),
        _largest_relative,
        "relative",
    )
