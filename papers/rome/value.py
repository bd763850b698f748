"""The value v* that makes the model state the new fact (§3.1, step 2)."""

from collections.abc import Sequence

from papers.rome.hyperparams import RomeHyperparams
from shared.data.requests import EditRequest
from shared.fit.fitting import OBJECTIVES, Row, teacher_forced
from shared.fit.optimise import VectorProblem, VectorResult, optimise_vectors
from shared.model.models import LM
from shared.model.tokens import Prompt, encode_prompt, target_ids
from shared.traces.subject_noise import NoiseSource

ESSENCE_TEMPLATE = "{} is a"


def value_problem(
    lm: LM, request: EditRequest, prompts: Sequence[Prompt], fact_token: str, noise: NoiseSource | None = None
) -> VectorProblem:
    """Return the search for one request: its prompt with the new object in every context, and "{subject} is a".

    The KL term reads the lookup position of "{subject} is a", normally the subject's last token; what follows cannot
    matter to a causal model and is cut. With `noise` the subject is corrupted in all of these texts.
    """
    target = target_ids(lm, request.target_new)
    essence = encode_prompt(lm, ESSENCE_TEMPLATE, request.subject, fact_token)
    texts, redrawn = [*prompts, essence], noise is not None and noise.how.redrawn
    if noise is not None and not redrawn:
        [essence] = noise.corrupt([essence])
    return VectorProblem(
        case=str(request.case_id),
        rows=[teacher_forced(prompt.ids, target, prompt.noise) for prompt in prompts],
        lookups=[prompt.lookup for prompt in prompts],
        anchor=Row(essence.ids[: essence.lookup + 1], noise=essence.noise),
        fresh_noise=(lambda: noise.draw(texts)) if redrawn else None,
    )


def target_values(
    lm: LM,
    requests: Sequence[EditRequest],
    prompts: Sequence[Sequence[Prompt]],
    layer: int,
    hyperparams: RomeHyperparams,
    max_tokens: int = 2048,
    noises: Sequence[NoiseSource | None] | None = None,
) -> list[VectorResult]:
    """Find v* = v0 + δ of every request (Eq. 4, §3.1, Meng et al. 2022), all as one batched search.

    Args:
        prompts: per request, its prompt in every context, the plain one first.
        layer: edited layer; δ is added to its MLP's output at the lookup position.
        max_tokens: see `optimise_vectors`.
        noises: per request, what corrupts its subject, if anything does.

    Raises:
        NumericalError: the search of a case diverged.
    """
    problems = [
        value_problem(lm, request, contexts, hyperparams.fact_token, noise)
        for request, contexts, noise in zip(requests, prompts, noises or [None] * len(requests), strict=True)
    ]
    settings, objective = hyperparams.search(), OBJECTIVES[hyperparams.objective]
    return optimise_vectors(
        lm, problems, layer, site="mlp", settings=settings, objective=objective, max_tokens=max_tokens
    )
