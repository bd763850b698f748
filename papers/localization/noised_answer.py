"""What the model says when the subject is corrupted: the target of Tracing Reversal (§5.2)."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from papers.localization.corruption import draw_noise, subject_range
from shared.errors import DataError
from shared.fit.fitting import Row, embed_rows
from shared.model.forward import KeyValues, add_positions, logits, run_blocks, token_embeddings
from shared.model.lean import fused_gelu
from shared.model.models import LM

RELEASED_LENGTH = 12
TOP_K = 5


def _place(lm: LM, ids: list[int], subject: str) -> tuple[int, int]:
    place = subject_range(lm, ids, subject)
    if place is None:
        raise DataError(f"subject {subject!r} is not in the prompt {lm.tokenizer.decode(ids)!r}")
    return place


@torch.no_grad()
def _next_logits(lm: LM, rows: Sequence[Row]) -> Float[Tensor, "row vocab"]:
    """Return the logits after rows of equal length."""
    length = len(rows[0].ids)
    with fused_gelu(lm):
        hidden = run_blocks(lm, embed_rows(lm, rows, [length] * len(rows)), range(lm.arch.n_layers))
    return logits(lm, hidden[:, -1]).float()


def noised_continuations(
    lm: LM, prompts: Sequence[list[int]], subjects: Sequence[str], scale: float, *, tokens: int = 1, samples: int = 10
) -> list[str]:
    """Return the model's continuation of each prompt with its subject corrupted, token by token the most probable one.

    Args:
        prompts: token ids.
        subjects: the subject of each prompt.
        scale: standard deviation of the noise.
        tokens: length of the continuation.
        samples: noised runs over which next-token probabilities are averaged, as in causal tracing.

    Raises:
        DataError: a subject is not in its prompt.
    """
    answers = []
    for ids, subject in zip(prompts, subjects, strict=True):
        noises = draw_noise(_place(lm, ids, subject), scale, lm.arch.d_model, samples=samples)
        grown = list(ids)
        for _ in range(tokens):
            rows = [Row(tuple(grown), noise=noise) for noise in noises]
            grown.append(int(_next_logits(lm, rows).softmax(-1).mean(0).argmax()))
        answers.append(lm.tokenizer.decode(grown[len(ids) :]).strip())
    return answers


@torch.no_grad()
def sampled_text_under_noise(
    lm: LM, prompts: Sequence[list[int]], subjects: Sequence[str], scale: float, *, seeds: Sequence[int]
) -> list[str]:
    """Return texts sampled as in the released code (quirk Q6): each with its prompt, 12 tokens in all, top-k 5.

    The noise is on the prompt's own pass only; a prompt of 12 tokens or more is returned as it is. The release samples
    unseeded; here each text has a seed.

    Raises:
        DataError: a subject is not in its prompt.
    """
    texts = []
    for ids, subject, seed in zip(prompts, subjects, seeds, strict=True):
        [noise] = draw_noise(_place(lm, ids, subject), scale, lm.arch.d_model)
        generator = torch.Generator().manual_seed(seed)
        cache, grown = KeyValues(record=True), list(ids)
        hidden = embed_rows(lm, [Row(tuple(ids), noise=noise)], [len(ids)])
        while len(grown) < RELEASED_LENGTH:
            positions = torch.arange(cache.get_seq_length(), len(grown), device=lm.device)[None]
            hidden = run_blocks(lm, hidden, range(lm.arch.n_layers), positions=positions, cache=cache)
            best, candidates = logits(lm, hidden[0, -1]).float().topk(TOP_K)
            drawn = torch.multinomial(best.softmax(-1).cpu(), 1, generator=generator)
            grown.append(int(candidates[int(drawn)]))
            last = torch.tensor([grown[-1:]], device=lm.device)
            hidden = add_positions(lm, token_embeddings(lm, last), positions[:, -1:] + 1)
        texts.append(lm.tokenizer.decode(grown))
    return texts
