"""One fact in one model: edit it and compare what the model says before and after."""

from collections.abc import Sequence
from dataclasses import dataclass

from shared.data.requests import EditRequest
from shared.data.templates import fill
from shared.edits.deltas import Edit, row_edits
from shared.inference.generation import generate
from shared.inference.scoring import score_targets
from shared.model.models import LM
from shared.model.tokens import encode, target_ids
from shared.seeding import seed_for


@dataclass(frozen=True)
class Comparison:
    """What a model says at one prompt, before and after an edit.

    Attributes:
        prompt: full text.
        before, after: target → probability (geometric mean over the target's tokens).
        text_before, text_after: sampled continuations, prompt included.
    """

    prompt: str
    before: dict[str, float]
    after: dict[str, float]
    text_before: str
    text_after: str


def compare(
    lm: LM,
    edit: Edit,
    request: EditRequest,
    more_prompts: Sequence[str] = (),
    *,
    length: int = 30,
    seed: int = 0,
    paper: str,
) -> list[Comparison]:
    """Compare the unedited and the edited model at the request's prompt and at further ones.

    Args:
        more_prompts: full texts, such as paraphrases, or prompts about other subjects.
        length: tokens of a continuation in all, cut to the model's positions.
        seed: seed of the sampled texts; the same before and after, so that texts differ by the edit alone.
        paper: enters these seeds.
    """
    prompts = [fill(request.prompt, request.subject), *more_prompts]
    ids = {phase: [encode(lm, text + prompt) for prompt in prompts] for phase, text in ((None, ""), (0, edit.context))}
    targets = [request.target_new] + ([request.target_true] if request.target_true else [])
    phases = (None, 0)
    rows = [(prompt, target, phase) for prompt in range(len(prompts)) for target in targets for phase in phases]
    seeds = [seed_for(paper, "single", seed, prompt) for prompt in prompts]
    longest = {phase: min(lm.arch.n_positions, max(map(len, ids[phase])) + length) for phase in phases}
    with row_edits(lm, [edit]) as carried:
        scores = score_targets(
            lm,
            [ids[phase][prompt] for prompt, _, phase in rows],
            [target_ids(lm, target) for _, target, _ in rows],
            edits=carried,
            edit_of=[phase for _, _, phase in rows],
        )
        texts = {
            phase: generate(
                lm,
                ids[phase],
                max_length=longest[phase],
                seeds=seeds,
                top_k=5,
                edits=carried,
                edit_of=[phase] * len(prompts),
            )
            for phase in phases
        }
    # The context of an edit stands before each prompt and is no part of a text.
    cut = {index: len(ids[0][index]) - len(ids[None][index]) for index in range(len(prompts))}
    probability = {row: score.probability for row, score in zip(rows, scores, strict=True)}
    return [
        Comparison(
            prompt=prompts[index],
            before={target: probability[index, target, None] for target in targets},
            after={target: probability[index, target, 0] for target in targets},
            text_before=lm.tokenizer.decode(texts[None][index]),
            text_after=lm.tokenizer.decode(texts[0][index][cut[index] :]),
        )
        for index in range(len(prompts))
    ]
