"""The noise that corrupts a subject's embeddings in causal tracing (ROME §2, App. B.1 and B.4, arXiv:2202.05262).

Every fact draws from a fresh generator with the same seed, as the authors' code does, so a fact's numbers do not depend
on the facts traced beside it. Draws are made in float64 with numpy, which gives the authors' very numbers.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from shared.errors import ConfigError
from shared.model.forward import token_embeddings
from shared.model.models import LM
from shared.model.tokens import encode

NoiseKind = Literal["gaussian", "uniform", "multivariate", "student"]
STUDENT_SEED = 2
STUDENT_SCALES = 1000


@dataclass(frozen=True)
class Noise:
    """A distribution of embedding noise.

    Attributes:
        kind: `gaussian` N(0, scale²) per entry; `uniform` on (-scale, scale); `multivariate` N(mean, root·rootᵀ);
            `student` the multivariate draw times one factor per token, so that it is t-distributed with `degrees`.
        scale: standard deviation or half-width, in units of embedding entries (gaussian, uniform).
        mean, root: moments of the embeddings (multivariate, student); `root` is the symmetric square root of the
            covariance, both float64.
        degrees: degrees of freedom above 2 (student).
        replace: overwrite the embeddings instead of adding to them.
    """

    kind: NoiseKind = "gaussian"
    scale: float = 0.0
    mean: Tensor | None = None
    root: Tensor | None = None
    degrees: float = 3.0
    replace: bool = False

    def __post_init__(self) -> None:
        if self.kind in ("multivariate", "student") and (self.mean is None or self.root is None):
            raise ConfigError(f"noise {self.kind!r} needs the mean and the covariance root of the embeddings")
        if self.kind in ("gaussian", "uniform") and self.scale <= 0:
            raise ConfigError(f"noise {self.kind!r} has scale {self.scale}, expected a number above 0")
        if self.kind == "student" and self.degrees <= 2:
            raise ConfigError(f"noise 'student' has {self.degrees} degrees of freedom, expected more than 2")

    def draw(self, random: np.random.RandomState, samples: int, tokens: int, width: int) -> Float[Tensor, "s t d"]:
        """Return the next noise of `random` for `samples` corrupted runs of `tokens` subject tokens, in float64."""
        if self.kind == "uniform":
            return torch.from_numpy(random.uniform(-1, 1, (samples, tokens, width)) * self.scale)
        normal = torch.from_numpy(random.randn(samples, tokens, width))
        if self.kind == "gaussian":
            return normal * self.scale
        shaped = normal @ self.root.T + self.mean
        if self.kind == "multivariate":
            return shaped
        squares = np.random.RandomState(STUDENT_SEED).chisquare(self.degrees, max(STUDENT_SCALES, samples * tokens))
        factors = np.sqrt((self.degrees - 2) / squares[: samples * tokens])
        return shaped * torch.from_numpy(factors).reshape(samples, tokens, 1)


@torch.no_grad()
def embedding_std(lm: LM, subjects: Iterable[str]) -> float:
    """Return σ_t, the unbiased standard deviation over all entries of the subjects' token embeddings (ROME App. B.1).

    Each subject is tokenised alone and without a leading space; repeated tokens count each time.

    Raises:
        ConfigError: no subjects.
    """
    ids = [token for subject in subjects for token in encode(lm, subject)]
    if not ids:
        raise ConfigError("the noise scale is measured on subjects, but none were given")
    return token_embeddings(lm, torch.tensor([ids], device=lm.device)).std().item()


@torch.no_grad()
def embedding_moments(
    lm: LM, texts: Iterable[str], max_length: int | None = None
) -> tuple[Float[Tensor, " d_model"], Float[Tensor, "d_model d_model"]]:
    """Return the mean and the covariance of token embeddings over a corpus, in float64.

    Args:
        texts: documents, each cut to `max_length` tokens (the model's positions if absent).

    Cost: 2·d_model² FLOP per distinct token of the corpus: each is weighted by its count.
    """
    counts = torch.zeros(lm.arch.embedding.num_embeddings, dtype=torch.float64)
    for text in texts:
        ids = torch.tensor(encode(lm, text)[: max_length or lm.arch.n_positions], dtype=torch.long)
        counts += torch.bincount(ids, minlength=len(counts)).double()
    if counts.sum() == 0:
        raise ConfigError("the embedding moments are measured on texts, but none hold a token")
    weights = counts / counts.sum()
    vectors = lm.arch.embedding.weight.detach().double().cpu()
    mean = weights @ vectors
    centered = vectors - mean
    return mean, centered.T @ (weights[:, None] * centered)


def _root(covariance: Float[Tensor, "d d"]) -> Float[Tensor, "d d"]:
    values, vectors = torch.linalg.eigh(covariance)
    return (vectors * values.clamp(min=0).sqrt()) @ vectors.T


def make_noise(
    lm: LM, rule: str, subjects: Sequence[str], texts: Iterable[str] = (), *, replace: bool = False
) -> Noise:
    """Build the noise that a rule names, in the notation of the authors' code.

    Args:
        rule: `s3` Gaussian of 3·σ_t; `0.1` Gaussian of that standard deviation; `u0.1` uniform on (-0.1, 0.1);
            `us3` uniform on (-3·σ_t, 3·σ_t); `m` Gaussian with the mean and covariance of the embeddings of `texts`;
            `t3` its Student variant with 3 degrees of freedom.
        subjects: names that σ_t is measured on (rules with `s`).
        texts: corpus for the moments (`m`, `t…`).
        replace: see `Noise`.

    Raises:
        ConfigError: the rule has none of these forms.
    """
    match = re.fullmatch(r"(?P<family>us|u|s|t|m)?(?P<number>\d+(?:\.\d+)?(?:e-?\d+)?)?", rule)
    if not rule or match is None or (match["number"] is None) != (match["family"] == "m"):
        raise ConfigError(f"noise rule {rule!r} is unknown; expected s3, 0.1, u0.1, us3, m or t3")
    family, number = match["family"] or "", float(match["number"] or 0)
    if family in ("m", "t"):
        mean, covariance = embedding_moments(lm, texts)
        kind: NoiseKind = "multivariate" if family == "m" else "student"
        return Noise(kind, mean=mean, root=_root(covariance), degrees=number if family == "t" else 3.0, replace=replace)
    scale = number * embedding_std(lm, subjects) if family.endswith("s") else number
    return Noise("uniform" if family.startswith("u") else "gaussian", scale, replace=replace)
