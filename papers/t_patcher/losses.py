"""The losses of a patch (Huang et al. 2023, §4.2), for many mistakes at once, one per line of a batch.

The authors' code trains on `repeat` equal copies of the mistake, so that differences of memory and mistake form a cube
of |memory| × repeat × patches, of which the k largest count. Equal copies need not be computed: k / repeat distinct
differences give the same mean.
"""

import math
from dataclasses import dataclass
from functools import cache

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from shared.errors import ConfigError

LARGEST = 80  # exp(80) is finite in float32
SHAPES = ("exp", "margin", "expmargin")


@dataclass(frozen=True)
class Penalty:
    """How values that shall be negative become one number.

    Attributes:
        shape: `exp`: mean exp(x); `margin`: mean of the positive x; `expmargin`: mean exp(x) over the positive x.
        top: only so many largest terms count; None for all.
    """

    shape: str = "exp"
    top: int | None = None

    def __post_init__(self) -> None:
        if self.shape not in SHAPES:
            raise ConfigError(f"penalty {self.shape!r} is unknown; expected one of {', '.join(SHAPES)}")
        if self.top is not None and self.top < 1:
            raise ConfigError(f"penalty top is {self.top}, expected at least 1")

    def kept(self, repeat: int) -> int | None:
        """Return how many distinct terms can count; None if all do."""
        return None if self.top is None else -(-self.top // repeat)

    def __call__(self, x: Float[Tensor, "line term"], repeat: int = 1) -> Float[Tensor, " line"]:
        """Return one number per line; terms of −inf do not exist.

        Args:
            repeat: how many equal copies of each term `top` counts.
        """
        exists = x > -math.inf
        if self.shape != "exp":
            exists = exists & (x > 0)
        count = exists.sum(-1) * repeat
        terms = x if self.shape == "margin" else x.clamp(max=LARGEST).exp()
        terms = torch.where(exists, terms, torch.zeros_like(terms))
        if self.top is None or self.top >= x.shape[-1] * repeat:
            return terms.sum(-1) * repeat / count.clamp(min=1)
        largest = terms.topk(self.kept(repeat), dim=-1, sorted=True).values
        return (largest * self.copies(repeat, x.device)).sum(-1) / count.clamp(min=1, max=self.top)

    def shares(self, largest: Float[Tensor, "*line kept"], repeat: int) -> Float[Tensor, "*line kept"]:
        """Return what each of the largest values adds to an exponential penalty; terms of −inf do not exist.

        Args:
            largest: sorted, `kept(repeat)` of them.
        """
        count = (largest > -math.inf).sum(-1, keepdim=True) * repeat
        terms = largest.clamp(max=LARGEST).exp() * self.copies(repeat, largest.device)
        return terms / count.clamp(min=1, max=self.top)

    def copies(self, repeat: int, device: torch.device) -> Float[Tensor, " kept"]:
        """Return how many equal copies of each of the largest terms count; of the last only as far as `top` reaches."""
        return _copies(self.kept(repeat), repeat, self.top, device)


@cache
def _copies(kept: int, repeat: int, top: int, device: torch.device) -> Tensor:
    copies = torch.full((kept,), float(repeat), device=device)
    copies[-1] = top - (kept - 1) * repeat
    return copies


def activation_loss(
    own: Float[Tensor, "line patch"], present: Bool[Tensor, "line patch"], penalty: Penalty, repeat: int
) -> Float[Tensor, " line"]:
    """Return l_a: each patch shall be active at its own mistake (Eq. 7; margin 0).

    Args:
        own: pre-activation of each patch at its own position.
        present: which patches exist.
    """
    if own.shape[1] == 1 and penalty.shape == "exp":  # equal copies of one term
        return (-own[:, 0]).clamp(max=LARGEST).exp()
    return penalty((-own).masked_fill(~present, -math.inf), repeat)


@dataclass(frozen=True)
class MemoryLoss:
    """l_m = l_m1 + l_m2 over remembered inputs (Eq. 8 and 9).

    Attributes:
        first: penalty of a patch that responds to a remembered input more than to its mistake less `margins[0]`.
        second: penalty of a response above `margins[1]`; None leaves l_m2 out.
        margins: γ and β.
    """

    first: Penalty = Penalty(top=1000)
    second: Penalty | None = Penalty(top=1000)
    margins: tuple[float | int, float | int] = (3.0, -3.0)

    def terms(self, own: Float[Tensor, "line patch"]) -> list[tuple[Penalty, Tensor]]:
        """Return each penalty with what is added to a neuron's responses before it."""
        found = [(self.first, self.margins[0] - own)]
        if self.second is not None:
            found.append((self.second, torch.full_like(own, -self.margins[1])))
        return found

    def __call__(
        self,
        remembered: Float[Tensor, "line memory patch"],
        own: Float[Tensor, "line patch"],
        exists: Bool[Tensor, "line memory patch"],
        repeat: int,
    ) -> Float[Tensor, " line"]:
        """Return l_m per line; `exists` says which pairs of remembered input and patch there are."""
        parts = [
            penalty((remembered + offset[:, None]).masked_fill(~exists, -math.inf).flatten(1), repeat)
            for penalty, offset in self.terms(own)
        ]
        return torch.stack(parts).sum(0)


def answer_loss(
    logits: Float[Tensor, "line pos vocab"],
    label: Int[Tensor, "line pos"],
    asked: Bool[Tensor, "line pos"],
    smoothing: float | int,
) -> Float[Tensor, " line"]:
    """Return the label-smoothed negative log-likelihood per answer token (nats).

    (1 − ε − ε/(V−1))·nll + ε/(V−1)·Σ_v −log p_v, as in the authors' code (`src/utils.py`, after fairseq).
    """
    vocabulary = logits.shape[-1]
    # torch spreads its ε over all V tokens, the right one included: V/(V−1) of ours.
    spread = smoothing * vocabulary / (vocabulary - 1)
    loss = nn.functional.cross_entropy(logits.flatten(0, 1), label.flatten(), reduction="none", label_smoothing=spread)
    return (loss.unflatten(0, label.shape) * asked).sum(-1) / asked.sum(-1)


def verdict_loss(
    logits: Float[Tensor, "line pos 1"],
    label: Int[Tensor, "line pos"],
    asked: Bool[Tensor, "line pos"],
    bonus: float | int,
) -> Float[Tensor, " line"]:
    """Return binary cross-entropy less `bonus` times the prediction's entropy (nats), as in the authors' code."""
    logit = logits[..., 0]
    wrong = nn.functional.binary_cross_entropy_with_logits(logit, label.to(logit), reduction="none")
    entropy = nn.functional.softplus(logit) - logit.sigmoid() * logit
    return ((wrong - bonus * entropy) * asked).sum(-1) / asked.sum(-1)


def divergence(
    before: Float[Tensor, "line pos out"], after: Float[Tensor, "line pos out"], binary: bool
) -> Float[Tensor, "line pos"]:
    """Return KL(before ‖ after) at each position (nats); one logit is a Bernoulli distribution's."""
    if binary:
        before, after = (torch.cat([x, torch.zeros_like(x)], -1) for x in (before, after))
    left, right = before.log_softmax(-1), after.log_softmax(-1)
    return (left.exp() * (left - right)).sum(-1)
