"""What cached states gain for slots of the last layer, and asking many prompts at once for the assessment."""

from collections.abc import Iterator, Sequence

import torch

from papers.calinet.assessment import contrast_score, contrast_scores
from papers.calinet.slots import SlotLayer, SlotSettings, cached_loss, calibrate, whole_loss
from papers.calinet.slots import begin as untrained
from shared.data.requests import Case
from shared.data.templates import fill
from shared.inference.scoring import score_targets
from shared.inference.text_batches import TextRow, encode_row
from shared.model.models import LM
from shared.model.tokens import encode, target_ids
from shared.seeding import seed_for
from tests.bench import Comparison, Setup

SETTINGS = SlotSettings(slots=64, steps=60, rows=10**6)
COPIES = 8  # every request so many times: a set of statements of the size of the paper's smaller one


def rows_of(lm: LM, cases: Sequence[Case]) -> list[TextRow]:
    """Return the cases' requests as statements."""
    return [
        encode_row(lm, fill(case.request.prompt, case.request.subject), case.request.target_new) for case in cases
    ] * COPIES


def slowly(lm: LM, rows: list[TextRow]) -> float:
    """Return the loss after the same updates, each from whole passes of all statements through all layers."""
    made = untrained(SlotLayer(lm), SETTINGS, 0)
    parameters = [made.key.requires_grad_(True), made.value.requires_grad_(True)]
    optimiser = torch.optim.Adam(parameters, lr=SETTINGS.lr)
    for _ in range(SETTINGS.steps):
        loss = whole_loss(made, rows)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        return float(whole_loss(made, rows))


def quickly(lm: LM, rows: list[TextRow]) -> float:
    """Return the loss after updates from cached states."""
    slots = calibrate(lm, rows, SETTINGS)
    with torch.no_grad():
        states = slots.layer.observe(rows)
        return float(cached_loss(slots, states, torch.arange(len(states.label))))


def asked_of(cases: Sequence[Case]) -> list[tuple[str, list[str], str]]:
    """Return prompt, contrasts and object of each case; the contrasts are other cases' prompts."""
    prompts = [case.request.prompt for case in cases]
    found = []
    for number, case in enumerate(cases):
        start = seed_for("calinet", "bench", number) % len(cases)
        others = [prompts[(start + step) % len(cases)] for step in range(3)]
        subject = case.request.subject
        found.append(
            (fill(case.request.prompt, subject), [fill(one, subject) for one in others], case.request.target_new)
        )
    return found


def one_at_a_time(lm: LM, asked: Sequence[tuple[str, list[str], str]]) -> list[float]:
    """Return the scores from one pass per prompt."""
    found = []
    for prompt, contrasts, name in asked:
        target = target_ids(lm, name)[:1]
        own, *others = [score_targets(lm, [encode(lm, text)], [target])[0].probability for text in (prompt, *contrasts)]
        found.append(contrast_score(own, others, 0.001))
    return found


def comparisons(setup: Setup) -> Iterator[Comparison]:
    """Yield the training of slots, and the assessment."""
    rows, asked = rows_of(setup.lm, setup.cases), asked_of(setup.cases) * COPIES
    yield Comparison(
        f"CaliNet: {SETTINGS.steps} updates of {SETTINGS.slots} slots on {len(rows)} statements",
        10,
        lambda: slowly(setup.lm, rows),
        lambda: quickly(setup.lm, rows),
        lambda slow, fast: abs(slow - fast) / slow,
        "of the loss",
    )
    yield Comparison(
        f"CaliNet: {len(asked)} facts assessed by contrast",
        None,
        lambda: one_at_a_time(setup.lm, asked),
        lambda: contrast_scores(setup.lm, asked, 0.001),
        lambda slow, fast: max(abs(one - other) / one for one, other in zip(slow, fast, strict=True)),
        "of the score",
    )
