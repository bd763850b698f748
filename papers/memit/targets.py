"""The vectors z that make the model state the new objects (Eq. 16, §4.3.1): what each subject's state should become."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from papers.memit.hyperparams import MemitHyperparams
from shared.fitting import Row, teacher_forced
from shared.models import LM
from shared.optimise import VectorProblem, VectorResult, optimise_vectors
from shared.requests import EditRequest
from shared.tokens import Prompt, encode_prompt, split_template, target_ids

ESSENCE_TEMPLATE = "{} is a"


@dataclass(frozen=True)
class Wanted:
    """Requests that share one z: a single one, unless requests of the same key are searched for jointly.

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


def wanted_targets(requests: Sequence[EditRequest], repeats: str = "separate") -> list[Wanted]:
    """Return what z vectors a set of requests needs, in order of appearance; see `MemitHyperparams.repeats`."""
    groups: dict[object, list[int]] = {}
    for place, request in enumerate(requests):
        up_to_subject = split_template(request.prompt)[0] + request.subject
        groups.setdefault(place if repeats == "separate" else up_to_subject, []).append(place)
    return [Wanted(tuple(places), tuple(requests[place] for place in places)) for places in groups.values()]


def target_problem(lm: LM, wanted: Wanted, prompts: Sequence[Sequence[Prompt]], fact_token: str) -> VectorProblem:
    """Return the search for one z: prompts with their new objects in every context, and "{subject} is a".

    The KL term reads the lookup position of "{subject} is a", normally the subject's last token; what follows cannot
    matter to a causal model and is cut.

    Args:
        prompts: per request of `wanted`, its prompt in every context, the plain one first.
    """
    essence = encode_prompt(lm, ESSENCE_TEMPLATE, wanted.requests[0].subject, fact_token)
    return VectorProblem(
        case=wanted.name,
        rows=[
            teacher_forced(prompt.ids, target_ids(lm, request.target_new))
            for request, contexts in zip(wanted.requests, prompts, strict=True)
            for prompt in contexts
        ],
        lookups=[prompt.lookup for contexts in prompts for prompt in contexts],
        anchor=Row(essence.ids[: essence.lookup + 1]),
    )


def search_targets(
    lm: LM,
    wanted: Sequence[Wanted],
    prompts: Sequence[Sequence[Prompt]],
    hyperparams: MemitHyperparams,
    max_tokens: int = 2048,
) -> list[VectorResult]:
    """Find z = h + δ for all that is wanted, as one batched search (Eq. 16, §4.3.1, Meng et al. 2023).

    Args:
        wanted: from `wanted_targets`; they depend on the unedited model only, never on each other.
        prompts: per request of the whole set, its prompt in every context, the plain one first.
        max_tokens: see `optimise_vectors`.

    Raises:
        NumericalError: the search of a case diverged.
    """
    problems = [
        target_problem(lm, one, [prompts[place] for place in one.places], hyperparams.fact_token) for one in wanted
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
            max_tokens=max_tokens,
        )
        found |= dict(zip(chosen, results, strict=True))
    return [found[index] for index in range(len(problems))]
