"""What MEMIT's engine is measured against: one search at a time, and whole passes of whole prompts at every layer."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from papers.memit.editor import CONTEXT_STARTS
from papers.memit.hyperparams import MemitHyperparams
from papers.memit.insertion import insert_together
from papers.memit.targets import search_targets, wanted_targets
from papers.memit.tests.oracle import insert_all, search_one
from shared.data.requests import Case, EditRequest
from shared.fit.contexts import in_contexts, sample_contexts
from shared.fit.moments import collect
from tests.bench import Comparison, Setup

REQUESTS = 256
LAYERS = 3
WEIGHT = 100


def many_requests(cases: Sequence[Case], count: int = REQUESTS) -> list[EditRequest]:
    """Return as many requests with distinct subjects, by joining the first and last words of the cases' subjects."""
    subjects = [case.request.subject.split() for case in cases]
    found = []
    for first, one in enumerate(cases):
        for second, other in enumerate(cases):
            subject = f"{subjects[first][0]} {subjects[second][-1]}"
            made = {"case_id": len(found), "subject": subject, "prompt": one.request.prompt}
            found.append(EditRequest(**made, target_new=other.request.target_new))
    return found[:count]


def _largest_relative(slow: Sequence[Tensor], fast: Sequence[Tensor]) -> float:
    pairs = [(one.double(), other.double()) for one, other in zip(slow, fast, strict=True)]
    return max(float((one - other).norm() / one.norm()) for one, other in pairs)


def comparisons(setup: Setup) -> Iterator[Comparison]:
    """Yield MEMIT's comparisons: the search for z, and the insertion into three layers."""
    lm = setup.lm
    layers = range(setup.layer, min(setup.layer + LAYERS, lm.arch.n_layers - 1))
    settings = MemitHyperparams(tuple(layers), WEIGHT)
    requests = many_requests(setup.cases)
    contexts = sample_contexts(lm, CONTEXT_STARTS, [(10, 1)], paper="memit")
    prompts = [in_contexts(lm, request, contexts, settings.fact_token) for request in requests]
    yield Comparison(
        f"search for z of {len(requests)} requests",
        10,
        lambda: [search_one(lm, *pair, settings)[0] for pair in zip(requests, prompts, strict=True)],
        lambda: [found.delta for found in search_targets(lm, wanted_targets(requests), prompts, settings)],
        _largest_relative,
        "relative",
    )
    moments = collect(lm, setup.corpus, list(layers))
    covariances = {layer: moments.moment(layer) for layer in layers}
    generator = torch.Generator().manual_seed(0)
    targets = torch.randn(len(requests), lm.arch.d_model, generator=generator).to(lm.device)
    yield Comparison(
        f"insertion of {len(requests)} requests into {len(layers)} layers",
        10,
        lambda: insert_all(lm, prompts, targets, settings, covariances),
        lambda: [delta.matrix() for delta in insert_together(lm, prompts, targets, settings, moments).deltas],
        _largest_relative,
        "relative",
    )
