"""The vectors z that make the model state the new objects (Eq. 16, §4.3.1): what each subject's state should become."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from papers.memit.hyperparams import MemitHyperparams
from shared.data.requests import EditRequest
from shared.fit.fitting import OBJECTIVES, Row, teacher_forced
from shared.fit.keys import lookup_states
from shared.fit.optimise import VectorProblem, VectorResult, optimise_vectors
from shared.model.models import LM
from shared.model.tokens import Prompt, encode_prompt, target_ids
from shared.traces.subject_noise import NoiseSource

ESSENCE_TEMPLATE = "{} is a"


@dataclass(frozen=True)
class Wanted:
    """Requests that share one δ: a single one, unless those about the same subject are searched for jointly.

    Attributes:
        places: positions of the requests in their set.
        requests: the requests.
    """

    places: tuple[int, ...]
    requests: tuple[EditRequest, ...]

    @property
    def name(self) -> str:
        """Case ids joined by a plus sign."""
        return "+".join(str(request.case_id) for request in self.requests)

    @property
    def digest(self) -> str:
        """SHA-256 of everything in the requests that z depends on, besides model, contexts and settings."""
        facts = [[request.subject, request.prompt, request.target_new] for request in self.requests]
        return hashlib.sha256(json.dumps(facts, ensure_ascii=False).encode()).hexdigest()


@dataclass(frozen=True)
class Target:
    """One z with what is worth knowing of its search.

    Attributes:
        value: z = h + δ.
        initial: h, the state before the edit.
        n_forward: forward passes made.
        loss: total loss at the last of them (nats).
    """

    value: Float[Tensor, " d_model"]
    initial: Float[Tensor, " d_model"]
    n_forward: int
    loss: float

    @classmethod
    def of(cls, result: VectorResult) -> "Target":
        """Return what is kept of a search."""
        return cls(result.value, result.initial, len(result.terms), float(result.terms[-1, 0]))


def wanted_targets(requests: Sequence[EditRequest], repeats: str = "separate") -> list[Wanted]:
    """Return what z vectors a set of requests needs, in order of appearance; see `MemitHyperparams.repeats`."""
    groups: dict[object, list[int]] = {}
    for place, request in enumerate(requests):
        groups.setdefault(place if repeats == "separate" else request.subject, []).append(place)
    return [Wanted(tuple(places), tuple(requests[place] for place in places)) for places in groups.values()]


def target_problem(
    lm: LM, wanted: Wanted, prompts: Sequence[Sequence[Prompt]], fact_token: str, noise: NoiseSource | None = None
) -> VectorProblem:
    """Return the search for one z: prompts with their new objects in every context, and "{subject} is a".

    The KL term reads the lookup position of "{subject} is a", normally the subject's last token; what follows cannot
    matter to a causal model and is cut.

    Args:
        prompts: per request of `wanted`, its prompt in every context, the plain one first.
        noise: what corrupts the subject in all of these texts, if anything does.
    """
    essence = encode_prompt(lm, ESSENCE_TEMPLATE, wanted.requests[0].subject, fact_token)
    texts = [*(prompt for contexts in prompts for prompt in contexts), essence]
    redrawn = noise is not None and noise.how.redrawn
    if noise is not None and not redrawn:
        [essence] = noise.corrupt([essence])
    return VectorProblem(
        case=wanted.name,
        rows=[
            teacher_forced(prompt.ids, target_ids(lm, request.target_new), prompt.noise)
            for request, contexts in zip(wanted.requests, prompts, strict=True)
            for prompt in contexts
        ],
        lookups=[prompt.lookup for contexts in prompts for prompt in contexts],
        anchor=Row(essence.ids[: essence.lookup + 1], noise=essence.noise),
        fresh_noise=(lambda: noise.draw(texts)) if redrawn else None,
    )


def search_targets(
    lm: LM,
    wanted: Sequence[Wanted],
    prompts: Sequence[Sequence[Prompt]],
    hyperparams: MemitHyperparams,
    max_tokens: int = 2048,
    noises: Sequence[NoiseSource | None] | None = None,
) -> list[VectorResult]:
    """Find z = h + δ for all that is wanted, as one batched search (Eq. 16, §4.3.1, Meng et al. 2023).

    A joint search gives the z of its first request; that of another is the same δ on its own h (`values_of`).

    Args:
        wanted: from `wanted_targets`; they depend on the unedited model only, never on each other.
        prompts: per request of the whole set, its prompt in every context, the plain one first.
        max_tokens: see `optimise_vectors`.
        noises: per request of the whole set, what corrupts its subject, if anything does.

    Raises:
        NumericalError: the search of a case diverged.
    """
    noises = noises or [None] * len(prompts)
    problems = [
        target_problem(lm, one, [prompts[place] for place in one.places], hyperparams.fact_token, noises[one.places[0]])
        for one in wanted
    ]
    # The engine wants equally many texts per problem; a batch's composition changes no result.
    by_size: dict[int, list[int]] = {}
    for index, problem in enumerate(problems):
        by_size.setdefault(len(problem.rows), []).append(index)
    found: dict[int, VectorResult] = {}
    for chosen in by_size.values():
        results = optimise_vectors(
            lm,
            [problems[index] for index in chosen],
            hyperparams.z_layer,
            site="block",
            settings=hyperparams.search(),
            objective=OBJECTIVES[hyperparams.objective],
            max_tokens=max_tokens,
        )
        found |= dict(zip(chosen, results, strict=True))
    return [found[index] for index in range(len(problems))]


def values_of(
    lm: LM,
    wanted: Sequence[Wanted],
    found: Sequence[Target],
    prompts: Sequence[Sequence[Prompt]],
    layer: int,
    max_tokens: int = 8192,
) -> Float[Tensor, "request d_model"]:
    """Return each request's z: the state h of its plain prompt after block `layer`, plus the δ that belongs to it."""
    own: list[Tensor | None] = [None] * len(prompts)
    others = [(place, target) for one, target in zip(wanted, found, strict=True) for place in one.places[1:]]
    if others:
        plain = [prompts[place][0] for place, _ in others]
        states = lookup_states(lm, plain, blocks=[layer], max_tokens=max_tokens).blocks[layer]
        for (place, target), state in zip(others, states, strict=True):
            own[place] = state + (target.value - target.initial).to(state)
    for one, target in zip(wanted, found, strict=True):
        own[one.places[0]] = target.value.to(lm.device)
    return torch.stack(own)
