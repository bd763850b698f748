"""Which module of a layer is edited."""

from torch import nn

from papers.memit.hyperparams import Site
from shared.model.models import LM


def edited_module(lm: LM, layer: int, site: Site) -> nn.Module:
    """Return the output projection of a layer's MLP, or of its attention (Figure 12)."""
    return lm.arch.mlp_out(layer) if site == "mlp" else lm.arch.attention_out(layer)
