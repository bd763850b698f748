"""How a patch is trained; defaults are the authors' (`src/utils.py`, zsRE)."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from papers.t_patcher.losses import MemoryLoss, Penalty
from shared.errors import ConfigError

Settings = TypeVar("Settings")
MEMORY_LOSSES = ("full", "first_only", "none", "kl")


def known_only(kind: type[Settings], given: Mapping[str, Any]) -> Settings:
    """Return a dataclass of settings from a mapping, lists as tuples.

    Raises:
        ConfigError: a name is unknown.
    """
    known = {field.name for field in fields(kind)}
    if unknown := sorted(set(given) - known):
        raise ConfigError(f"settings {unknown} of {kind.__name__} are unknown; expected some of {sorted(known)}")
    tuples = {name: tuple(value) for name, value in given.items() if isinstance(value, list)}
    return kind(**{**given, **tuples})


@dataclass(frozen=True)
class PatchSettings:
    """Settings of one patch's training.

    Attributes:
        max_patches: wrong tokens of an answer that get a patch; later ones get none.
        lr, weight_decay, clip: of Adam, the L2 term inside it, and the largest gradient norm.
        repeat: equal copies of the mistake that the `top` terms of the losses count.
        max_steps: updates at most; a mistake that is not mended by then keeps its patch and counts as a failure.
        first_check: from which update on the answer is looked at.
        check_every: updates between two looks.
        lr_factor, lr_patience, lr_threshold: the rate shrinks where the answer's loss has not fallen by this share for
            more looks than this.
        patience, improvement: training ends when the validation memory's loss has not improved by so much for so many
            looks with a right answer.
        amplification: start of the factor of the value, trained with it.
        activation_weight, memory_weight: factors of l_a and l_m (5 for FEVER, 10 for zsRE).
        activation_top: terms of l_a.
        memory_loss: `full`; `first_only` without l_m2; `none`; `kl`: divergence from the unpatched model instead.
        memory_shape, memory_top: shape of l_m1 and l_m2 and terms that count; `memory_top` null means all.
        margins: γ and β of l_m1 and l_m2.
        kl_samples: remembered examples that the divergence is taken over.
        smoothing: ε of label smoothing (answers).
        bonus: factor of the prediction's entropy (verdicts).
    """

    max_patches: int = 5
    lr: float | int = 0.01
    weight_decay: float | int = 0.01
    clip: float | int = 5.0
    repeat: int = 8
    max_steps: int = 2000
    first_check: int = 100
    check_every: int = 25
    lr_factor: float | int = 0.5
    lr_patience: int = 1
    lr_threshold: float | int = 0.05
    patience: int = 1
    improvement: float | int = 0.001
    amplification: float | int = 10.0
    activation_weight: float | int = 1.0
    memory_weight: float | int = 10.0
    activation_top: int = 5
    memory_loss: str = "full"
    memory_shape: str = "exp"
    memory_top: int | None = 1000
    margins: tuple[float | int, float | int] = (3.0, -3.0)
    kl_samples: int = 512
    smoothing: float | int = 0.1
    bonus: float | int = 0.1

    def __post_init__(self) -> None:
        if self.memory_loss not in MEMORY_LOSSES:
            raise ConfigError(f"memory_loss {self.memory_loss!r} is unknown; expected {', '.join(MEMORY_LOSSES)}")
        for name in ("max_patches", "repeat", "max_steps", "check_every", "kl_samples"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}, expected at least 1")
        for name in ("lr", "clip", "amplification"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} is {getattr(self, name)}, expected a positive number")
        self.penalty()

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> "PatchSettings":
        """Return settings from a mapping, such as a config's.

        Raises:
            ConfigError: a name is unknown, or a value is out of range.
        """
        return known_only(cls, given)

    def penalty(self) -> Penalty:
        """Return how memory losses count their terms."""
        return Penalty(self.memory_shape, self.memory_top)

    def remembered_loss(self) -> MemoryLoss:
        """Return l_m, with l_m2 or without."""
        return MemoryLoss(self.penalty(), self.penalty() if self.memory_loss == "full" else None, self.margins)
