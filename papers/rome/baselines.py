"""Fine-tuning baselines of the paper as editors: FT, FT+L and AttnEdit (§3.2 and App. D and I, Meng et al. 2022)."""

from typing import Any

from torch import nn

from shared.editing.editors import register
from shared.editing.tuning_editor import FineTuningEditor, Modules
from shared.model.models import Architecture


def _down_projection(arch: Architecture, layer: int) -> list[nn.Module]:
    return [arch.mlp_out(layer)]


def _attention(arch: Architecture, layer: int) -> list[nn.Module]:
    return arch.attention_in(layer)


def _method(name: str, modules: Modules, **defaults: Any) -> None:
    def make(**settings: Any) -> FineTuningEditor:
        return FineTuningEditor(name, modules, **(defaults | settings))

    register(name, make)


# Learning rates and bounds of the authors' hparams/FT/gpt2-xl_{unconstr,constr,attn}.json.
_method("ft", _down_projection, lr=5e-4, norm_constraint=None)
_method("ft_l", _down_projection, lr=5e-4, norm_constraint=5e-4)
_method("attn_edit", _attention, lr=1e-3, norm_constraint=1e-3)
