"""MEND as a learned editor: capture u and δ, normalise, transform, and step along the new gradient (Algorithm 2)."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from papers.mend.network import EditorNetwork
from papers.mend.normalisation import RunningNorm
from shared.edits.factor_edits import Changes, LowRank
from shared.edits.gradient_factors import FactorRows, factor_rows, token_factors
from shared.errors import ConfigError
from shared.inference.text_batches import predictions
from shared.learning.learned_editors import Edits, LearnedEditor, group_losses, linear_maps, map_shape, register_learned
from shared.model.models import LM

SIGNS = {"descent": -1.0, "ascent": 1.0}
SCALES = ("batch_mean", "sum")


@dataclass(frozen=True)
class MendSettings:
    """How the editor is built.

    Attributes:
        rank, reads, init, draw: of the editor networks, see `EditorNetwork`.
        norm: normalise u and δ.
        share: one network per shape of weight; else one per weight.
        sign: `descent` (the paper) or `ascent` (the authors' code, which starts by raising the edit's loss until the
            rates have changed sign).
        rate: initial α.
        rate_lr: learning rate of α, None for that of the networks (the authors' code, where the optimiser meant for α
            never moves it).
        scale: with several facts in one edit, the gradient is that of the mean over all their label tokens
            (`batch_mean`, the code) or the sum of the facts' own (`sum`, the paper).
    """

    rank: int = 1920
    reads: str = "both"
    init: str = "identity"
    draw: str = "normal"
    norm: bool = True
    share: bool = True
    sign: str = "descent"
    rate: float | int = 1e-4
    rate_lr: float | int | None = None
    scale: str = "batch_mean"

    def __post_init__(self) -> None:
        if self.sign not in SIGNS or self.scale not in SCALES:
            known = f"{' or '.join(SIGNS)}, and {' or '.join(SCALES)}"
            raise ConfigError(f"mend: sign is {self.sign!r} and scale {self.scale!r}, expected {known}")


class Mend(LearnedEditor):
    """W' = W + σ α_ℓ Σ δ̃ ũᵀ over the tokens of an edit, with learned rates α_ℓ (Eq. 4 and Algorithm 2).

    Args:
        lm: the base model, of which only the shapes of the named maps are used.
        modules: names of the linear maps to be changed.
        settings: fields of `MendSettings`.

    Raises:
        ConfigError: a setting is out of range.
    """

    method = "mend"

    def __init__(self, lm: LM, modules: Sequence[str], **settings: Any):
        own = MendSettings(**settings)
        super().__init__(modules, asdict(own))
        self.own = own
        shapes = {name: map_shape(module) for name, module in linear_maps(lm.model, modules).items()}
        self.members: dict[str, list[str]] = defaultdict(list)
        for place, (name, (d_in, d_out)) in enumerate(shapes.items()):
            self.members[f"{d_in}x{d_out}" if own.share else f"{place}-{d_in}x{d_out}"].append(name)
        self.networks, self.norms = nn.ModuleDict(), nn.ModuleDict()
        for key, names in self.members.items():
            d_in, d_out = shapes[names[0]]
            network = {"rank": own.rank, "reads": own.reads, "init": own.init, "draw": own.draw}
            self.networks[key] = EditorNetwork(d_in, d_out, len(names), **network)
            if own.norm:
                self.norms[key] = nn.ModuleList([RunningNorm(d_in), RunningNorm(d_out)])
        self.rates = nn.Parameter(torch.full((len(shapes),), float(own.rate)))

    def factors(self, lm: LM, edits: Edits) -> dict[str, FactorRows]:
        """Return u and δ of every edited map, from one forward and one backward pass over all edits."""

        def loss() -> Tensor:
            logits = predictions(lm, edits.batch)
            if self.own.scale == "batch_mean":
                return group_losses(logits, edits.batch, edits.group, edits.n_groups).sum()
            each = torch.arange(len(edits.batch), device=edits.group.device)
            return group_losses(logits, edits.batch, each, len(each)).sum()

        captured = token_factors(linear_maps(lm.model, self.modules_edited), loss)
        return {name: factor_rows(*pair, edits.group, edits.n_groups) for name, pair in captured.items()}

    def transformed(self, found: dict[str, FactorRows], *, training: bool) -> dict[str, tuple[Tensor, Tensor]]:
        """Return ũ and δ̃ of the rows of every map."""
        pairs = {}
        for key, names in self.members.items():
            sides = [self._normalised(key, found[name], training=training) for name in names]
            counts = [len(u) for u, _ in sides]
            layers = torch.arange(len(names), device=sides[0][0].device).repeat_interleave(
                torch.tensor(counts, device=sides[0][0].device)
            )
            # All maps of a shape pass their network at once: fewer and larger products.
            made = self.networks[key](*(torch.cat(side) for side in zip(*sides, strict=True)), layers)
            pairs |= zip(names, zip(*(side.split(counts) for side in made), strict=True), strict=True)
        return pairs

    def _normalised(self, key: str, found: FactorRows, *, training: bool) -> tuple[Tensor, Tensor]:
        """Return ū and δ̄ of one map; in training its rows are counted before they are normalised."""
        if key not in self.norms:
            return found.u, found.delta
        rows = (found.u, found.delta)
        if training:
            for norm, side in zip(self.norms[key], rows, strict=True):
                norm.update(side)
        u, delta = (norm(side) for norm, side in zip(self.norms[key], rows, strict=True))
        return u, delta

    def changes(self, lm: LM, edits: Edits, *, training: bool = False) -> Changes:
        """Return W' − W of every map for every edit, differentiable in networks and rates."""
        found = self.factors(lm, edits)
        pairs = self.transformed(found, training=training)
        changes = {}
        for place, name in enumerate(self.modules_edited):
            u, delta = pairs[name]
            rows = found[name]
            changes[name] = LowRank(rows.padded(u), rows.padded(delta * (SIGNS[self.own.sign] * self.rates[place])))
        return changes

    def optimiser_groups(self, lr: float | int) -> list[dict[str, Any]]:
        """Return networks and rates as groups, each with its learning rate."""
        networks = [parameter for name, parameter in self.named_parameters() if name != "rates"]
        rate_lr = lr if self.own.rate_lr is None else self.own.rate_lr
        return [{"params": networks, "lr": lr}, {"params": [self.rates], "lr": rate_lr}]

    def logged(self) -> dict[str, float]:
        """Return the learned rates."""
        return {f"rate {name}": rate for name, rate in zip(self.modules_edited, self.rates.tolist(), strict=True)}


register_learned("mend", Mend)
