"""Edits under a corrupted subject: the noise that Fact Forcing adds to the embeddings of a request's subject.

Hase et al. (2023, arXiv:2301.04213, §5) ask whether an edit can bring a fact back although its subject is corrupted as
in causal tracing. Their text corrupts the subject; their released code draws fresh noise for every forward pass and
puts it, in every text, where the subject stands in the plain prompt, which misses it behind a prefix.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from shared.errors import ConfigError
from shared.model.tokens import Prompt


@dataclass(frozen=True)
class SubjectNoise:
    """How the subject is corrupted while an edit is searched.

    Attributes:
        scale: standard deviation of the Gaussian noise per embedding entry (the authors' editing_noise).
        seed: of each request's generator, so that a request's noise does not depend on others.
        redrawn: as in the released code, draw again for every forward pass, at the plain prompt's positions in every
            text; otherwise each text has one draw, at its own subject, for the whole edit.
    """

    scale: float | int
    seed: int = 1
    redrawn: bool = False

    def __post_init__(self) -> None:
        if not self.scale > 0:
            raise ConfigError(f"subject noise has scale {self.scale}, expected a number above 0")

    @classmethod
    def of(cls, settings: "SubjectNoise | Mapping[str, Any] | None") -> "SubjectNoise | None":
        """Return the settings as an object; a mapping, as from a config, is checked.

        Raises:
            ConfigError: a setting is unknown or out of range.
        """
        if settings is None or isinstance(settings, SubjectNoise):
            return settings
        try:
            return cls(**settings)
        except TypeError as error:
            raise ConfigError(f"subject_noise does not take these settings: {error}") from error


class NoiseSource:
    """The noise of one request's edit, in the order in which its texts are met.

    Args:
        how: see `SubjectNoise`.
        plain: the request's prompt without context.
        width: d_model.
    """

    def __init__(self, how: SubjectNoise, plain: Prompt, width: int):
        self.how, self.plain, self.width = how, plain, width
        self._random = np.random.RandomState(how.seed)

    def draw(self, prompts: Sequence[Prompt]) -> list[Float[Tensor, "pos d_model"]]:
        """Return the next noise of each prompt, up to its last corrupted position, in float64."""
        if self.how.redrawn:
            start, stop = self.plain.start, self.plain.stop
            drawn = self._random.randn(len(prompts), stop - start, self.width)
            return [self._placed(start, noise) for noise in drawn]
        sizes = [(prompt.start, prompt.stop - prompt.start) for prompt in prompts]
        return [self._placed(start, self._random.randn(count, self.width)) for start, count in sizes]

    def corrupt(self, prompts: Sequence[Prompt]) -> list[Prompt]:
        """Return the prompts with their next noise."""
        return [replace(prompt, noise=noise) for prompt, noise in zip(prompts, self.draw(prompts), strict=True)]

    def _placed(self, start: int, noise: np.ndarray) -> Tensor:
        return torch.cat(
            [torch.zeros(start, self.width, dtype=torch.float64), self.how.scale * torch.from_numpy(noise)]
        )


def noise_sources(
    how: SubjectNoise | None, prompts: Sequence[Sequence[Prompt]], width: int
) -> list[NoiseSource] | list[None]:
    """Return one source per request, or None for each where subjects are not corrupted.

    Args:
        prompts: per request, its prompt in every context, the plain one first.
        width: d_model.
    """
    return [None if how is None else NoiseSource(how, contexts[0], width) for contexts in prompts]


def corrupted(prompts: Sequence[Sequence[Prompt]], noises: Sequence[NoiseSource | None]) -> list[Sequence[Prompt]]:
    """Return every request's prompts with the next noise of its source, or as they are where it has none."""
    return [
        contexts if noise is None else noise.corrupt(contexts) for contexts, noise in zip(prompts, noises, strict=True)
    ]
