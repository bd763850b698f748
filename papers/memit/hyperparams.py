"""Settings of MEMIT; the values that its authors used per model stand in config.yaml."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from shared.errors import ConfigError
from shared.fit.fitting import OBJECTIVES
from shared.fit.optimise import VectorSettings
from shared.model.tokens import FactToken
from shared.traces.subject_noise import SubjectNoise

Solver = Literal["auto", "small", "dense"]
Site = Literal["mlp", "attention"]
Repeats = Literal["separate", "joint"]


@dataclass(frozen=True)
class MemitHyperparams:
    """Settings of one edit; in parentheses the names in the authors' hparams files.

    Their `v_loss_layer` is left out because the loss always reads the final logits, as in all their files; module names
    because modules are found by structure; `mom2_dataset`, `mom2_n_samples` and `mom2_dtype` because they belong to the
    moments' collection; `layer_selection` and `mom2_adjustment` because their code never reads them.

    Attributes:
        layers: edited layers, from 0, ascending; z is searched at the last of them.
        update_weight: λ, the weight of the second moment C against the new keys (mom2_update_weight).
        fact_token: token at which keys and z are read.
        n_steps: forward passes of the search for z; the last makes no update (v_num_grad_steps).
        lr: Adam's learning rate (v_lr).
        weight_decay: factor of ‖δ‖ / ‖h0‖² (v_weight_decay).
        clamp_norm_factor: bound on ‖δ‖ in multiples of ‖h0‖.
        kl_factor: factor of the KL term on "{subject} is a".
        stop_below: the search of a fact ends when its loss falls below this (0.05 in the code).
        solver: how the normal equation is solved: `small` over the requests, `dense` over the keys' dimensions, or
            `auto`, whichever is smaller; the results are equal.
        site: which output projection is edited: the MLP's, or the attention's (Figure 12).
        repeats: requests about one subject have one key, or nearly, which least squares can move to the mean of their
            z only. `separate`: each has its own z (the paper, whose data hardly repeat a subject); `joint`: they share
            one δ, searched for the mean of their losses.
        ridge: multiple of C's mean diagonal added before solving; the authors add none.
        objective: `maximise` the probability of the target, or `minimise` it without stopping early (Fact Erasure of
            Hase et al. 2023, arXiv:2301.04213, §5); for single edits.
        subject_noise: corrupts the subject while a single edit is made (their Fact Forcing), see `SubjectNoise`.
    """

    layers: Sequence[int]
    update_weight: float | int
    fact_token: str = "subject_last"
    n_steps: int = 20
    lr: float | int = 0.5
    weight_decay: float | int = 0.5
    clamp_norm_factor: float | int = 0.75
    kl_factor: float | int = 0.0625
    stop_below: float | int = 0.05
    solver: str = "auto"
    site: str = "mlp"
    repeats: str = "separate"
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
        if not self.update_weight > 0:
            raise ConfigError(f"update_weight is {self.update_weight}, expected a positive number")
        if self.ridge < 0:
            raise ConfigError(f"ridge is {self.ridge}, expected zero or more")
        kinds = {"fact_token": FactToken, "solver": Solver, "site": Site, "repeats": Repeats}
        choices = {name: get_args(kind) for name, kind in kinds.items()} | {"objective": tuple(OBJECTIVES)}
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise ConfigError(f"{name} is {getattr(self, name)!r}, expected one of {', '.join(allowed)}")
        self.search()

    @property
    def z_layer(self) -> int:
        """Layer after which z is searched: the last edited one."""
        return self.layers[-1]

    def search(self) -> VectorSettings:
        """Return the settings of the search for z."""
        # Unlike ROME's, their search for z makes no update after the last pass when it erases.
        return VectorSettings(
            n_steps=self.n_steps,
            lr=self.lr,
            weight_decay=self.weight_decay,
            kl_factor=self.kl_factor,
            clamp_norm_factor=self.clamp_norm_factor,
            stop_below=0.0 if self.objective == "minimise" else self.stop_below,
        )
