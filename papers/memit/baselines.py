"""The fine-tuning baseline of the paper: FT-W, one whole block tuned with weight decay (§5.2 and App. B.1)."""

import math
from dataclasses import replace
from typing import Any

from torch import nn
from transformers.pytorch_utils import Conv1D

from shared.editing.editors import register
from shared.editing.tuning_editor import FineTuningEditor
from shared.errors import ConfigError
from shared.fit.finetune import TuningSettings
from shared.model.models import Architecture

# Exponent and factor of the decay that the authors tuned over the number of edits (hparams/FT, `wd_power_law`).
POWER_LAW = (-0.87028798, math.exp(0.15589562))
RELEASED = 0.0


def decay_for(weight_decay: str | float | int, count: int) -> float:
    """Return the weight decay with which `count` requests are fitted together.

    Args:
        weight_decay: `released`, none at all: the released code means to apply the power law, but asks whether its
            setting is a tuple while the file gives a list; `power_law`, what it means to apply; or a number (the
            paper's text says 5e-4, tuned for 10,000 edits).

    Raises:
        ConfigError: if it is another word.
    """
    if not isinstance(weight_decay, str):
        return weight_decay
    exponent, factor = POWER_LAW
    decays = {"released": RELEASED, "power_law": factor * count**exponent}
    if weight_decay not in decays:
        raise ConfigError(f"weight_decay is {weight_decay!r}, expected a number, {' or '.join(decays)}")
    return decays[weight_decay]


def linear_modules(arch: Architecture, layer: int) -> list[nn.Module]:
    """Return all linear maps of a block: attention and MLP, in and out."""
    return [module for module in arch.block(layer).modules() if isinstance(module, nn.Linear | Conv1D)]


class FtW(FineTuningEditor):
    """Adam on all linear maps of a block, in minibatches of 64 requests.

    Args:
        weight_decay: see `decay_for`.
        settings: those of `FineTuningEditor`.
    """

    def __init__(self, *, weight_decay: str | float | int = "released", batch_rows: int = 64, **settings: Any):
        super().__init__("ft_w", linear_modules, batch_rows=batch_rows, **settings)
        self.weight_decay = weight_decay
        self.settings_for(1)

    def settings_for(self, count: int) -> TuningSettings:
        """Return the settings with which `count` requests are fitted together."""
        return replace(self.settings, weight_decay=decay_for(self.weight_decay, count))


register("ft_w", FtW)
