"""Small requests and random second moments that several tests use."""

import torch

from shared.data.requests import EditRequest
from shared.fit.contexts import in_contexts
from shared.fit.second_moment import SecondMoments
from shared.model.models import LM
from shared.model.tokens import Prompt

CONTEXTS = ["{}", "Yes. {}", "So it goes. {}"]
FACTS = (
    ("Anna Bell", "Now {} speaks", "French"),
    ("Space Needle", "The {} is in", "a city of rain"),
    ("Danielle", "{} plays the", "piano"),
    ("Anna Bell", "Now {} plays the", "piano"),
)


def requests() -> list[EditRequest]:
    """Return four requests; the first and the last have the same key."""
    return [
        EditRequest(case_id=index, subject=subject, prompt=prompt, target_new=target)
        for index, (subject, prompt, target) in enumerate(FACTS)
    ]


def prompts(lm: LM, chosen: list[EditRequest]) -> list[list[Prompt]]:
    """Return each request's prompt in every context."""
    return [in_contexts(lm, request, CONTEXTS, "subject_last") for request in chosen]


def moments(width: int, layers: tuple[int, ...]) -> SecondMoments:
    """Return the second moments of random keys, a different one for each layer."""
    sums = {}
    for layer in layers:
        generator = torch.Generator().manual_seed(layer)
        rows = torch.randn(4 * width, width, generator=generator, dtype=torch.float64)
        sums[layer] = rows.T @ rows
    return SecondMoments(sums, 4 * width)


def targets(lm: LM, count: int) -> torch.Tensor:
    """Return random z vectors of the residual stream's size."""
    return 3 * torch.randn(count, lm.arch.d_model, generator=torch.Generator().manual_seed(9))
