"""Settings of ROME; the values that its authors used per model stand in config.yaml."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from shared.errors import ConfigError
from shared.fit.fitting import OBJECTIVES
from shared.fit.optimise import VectorSettings
from shared.model.tokens import FactToken
from shared.traces.subject_noise import SubjectNoise

KeyHandling = Literal["original", "r_rome", "p_rome"]


@dataclass(frozen=True)
class RomeHyperparams:
    """Settings of one edit; in parentheses the names in the authors' hparams files.

    Their `v_loss_layer` is left out because ROME's loss always reads the final logits, and their module names because
    modules are found by structure; `mom2_dataset`, `mom2_n_samples` and `mom2_dtype` belong to the moments' collection.

    Attributes:
        layers: edited layers, from 0; the published settings have one.
        fact_token: token at which key and value are read.
        n_steps: forward passes of the search for v*; the last makes no update (v_num_grad_steps).
        lr: Adam's learning rate (v_lr).
        weight_decay: factor of ‖δ‖ / ‖v0‖² (v_weight_decay).
        clamp_norm_factor: bound on ‖δ‖ in multiples of ‖v0‖.
        kl_factor: factor of the KL term on "{subject} is a".
        stop_below: the search of a fact ends when its loss falls below this (0.05 in the code).
        keys: which keys enter the update: `original` mixes the mean key (in u) with the plain prompt's key (in residual
            and denominator), as the released code does; `r_rome` uses the mean key throughout and `p_rome` the plain
            prompt's (Gupta et al. 2024, arXiv:2403.07175, §3).
        mom2_adjustment: use u = C⁻¹k; otherwise u = k.
        ridge: multiple of C's mean diagonal added before solving; the authors add none.
        objective: `maximise` the probability of the target, or `minimise` it, which takes every step and never stops
            early (Fact Erasure of Hase et al. 2023, arXiv:2301.04213, §5).
        subject_noise: corrupts the subject while the edit is made (their Fact Forcing), see `SubjectNoise`.
    """

    layers: Sequence[int]
    fact_token: str = "subject_last"
    n_steps: int = 20
    lr: float | int = 0.5
    weight_decay: float | int = 0.5
    clamp_norm_factor: float | int = 4.0
    kl_factor: float | int = 0.0625
    stop_below: float | int = 0.05
    keys: str = "original"
    mom2_adjustment: bool = True
    ridge: float | int = 0.0
    objective: str = "maximise"
    subject_noise: SubjectNoise | Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "layers", tuple(self.layers))
        object.__setattr__(self, "subject_noise", SubjectNoise.of(self.subject_noise))
        if not self.layers or any(not isinstance(layer, int) or layer < 0 for layer in self.layers):
            raise ConfigError(f"layers is {self.layers}, expected one or more layer numbers from 0")
        if list(self.layers) != sorted(set(self.layers)):
            raise ConfigError(f"layers is {self.layers}, expected distinct layers in ascending order")
        choices = {"fact_token": get_args(FactToken), "keys": get_args(KeyHandling), "objective": tuple(OBJECTIVES)}
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise ConfigError(f"{name} is {getattr(self, name)!r}, expected one of {', '.join(allowed)}")
        if self.ridge < 0:
            raise ConfigError(f"ridge is {self.ridge}, expected zero or more")
        self.search()

    def search(self) -> VectorSettings:
        """Return the settings of the search for v*."""
        erasing = self.objective == "minimise"
        return VectorSettings(
            n_steps=self.n_steps,
            lr=self.lr,
            weight_decay=self.weight_decay,
            kl_factor=self.kl_factor,
            clamp_norm_factor=self.clamp_norm_factor,
            stop_below=0.0 if erasing else self.stop_below,
            update_last=erasing,
        )
