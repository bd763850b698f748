"""Where a text's subject is, and the noise that Fact Forcing and Tracing Reversal put on it.

The noise is that of causal tracing: Gaussian, added to the embeddings of the subject's tokens, drawn anew with the same
seed for every text, so that no number depends on what is computed together.
"""

import unicodedata
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from shared.errors import DataError
from shared.model.models import LM
from shared.model.tokens import find_subject
from shared.traces.noise import make_noise

NOISE_SEED = 1


def _plain(text: str) -> str:
    """Return a text without accents and without spaces before punctuation."""
    letters = unicodedata.normalize("NFKD", text)
    text = "".join(letter for letter in letters if not unicodedata.combining(letter))
    for mark in ".,!;":
        text = text.replace(f" {mark}", mark)
    return text


def subject_range(lm: LM, ids: list[int], subject: str) -> tuple[int, int] | None:
    """Return the token range [start, stop) of a subject in a text, or None where it does not occur.

    A subject that is not found as written is looked for without accents and without spaces before punctuation, which a
    tokenizer may have changed.
    """
    for spelling in dict.fromkeys((subject, _plain(subject))):
        try:
            return find_subject(lm, ids, spelling)
        except DataError:
            continue
    return None


def noise_scale(lm: LM, rule: str, subjects: Sequence[str]) -> float:
    """Return the standard deviation of the noise that a rule such as `s3` or `0.094` names (`shared.traces.noise`)."""
    return make_noise(lm, rule, subjects).scale


def draw_noise(
    place: tuple[int, int] | None, scale: float, width: int, *, samples: int = 1, seed: int = NOISE_SEED
) -> list[Float[Tensor, "pos d_model"]] | list[None]:
    """Return `samples` draws of noise for one text, in float64, zero before the subject; None where it has none.

    Args:
        place: token range of the subject.
        scale: standard deviation per entry.
        width: d_model.
        seed: of the text's own generator.
    """
    if place is None:
        return [None] * samples
    start, stop = place
    drawn = scale * torch.from_numpy(np.random.RandomState(seed).randn(samples, stop - start, width))
    return [torch.cat([torch.zeros(start, width, dtype=torch.float64), one]) for one in drawn]


def misplaced_noise(
    lm: LM, prompts: Sequence[list[int]], subject: str, scale: float, *, seed: int = NOISE_SEED
) -> list[Float[Tensor, "pos d_model"]] | list[None]:
    """Return the noise of the row of each prompt's target in the released evaluation (quirk Q7).

    Its batch holds two rows per prompt, target and baseline, and takes the range of row i from prompt i: the target of
    prompt k, in row 2k, is corrupted where prompt 2k has its subject, and not at all beyond the last prompt.
    """
    ranges = [subject_range(lm, ids, subject) for ids in prompts]
    longest = max((place[1] - place[0] for place in ranges if place is not None), default=0)
    drawn = scale * torch.from_numpy(np.random.RandomState(seed).randn(2 * len(prompts), longest, lm.arch.d_model))
    noises: list[Tensor | None] = []
    for row in range(0, 2 * len(prompts), 2):
        place = ranges[row] if row < len(prompts) else None
        if place is None:
            noises.append(None)
            continue
        blank = torch.zeros(place[0], lm.arch.d_model, dtype=torch.float64)
        noises.append(torch.cat([blank, drawn[row, : place[1] - place[0]]]))
    return noises
