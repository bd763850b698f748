"""Which module of a layer is edited."""

from torch import nn
from transformers.pytorch_utils import Conv1D

from papers.memit.hyperparams import Site
from shared.errors import ModelError
from shared.models import LM


def edited_module(lm: LM, layer: int, site: Site) -> nn.Module:
    """Return the output projection of a layer's MLP, or of its attention (Figure 12).

    Raises:
        ModelError: the attention has not exactly one linear map besides its input projections.
    """
    if site == "mlp":
        return lm.arch.mlp_out(layer)
    inputs = {id(module) for module in lm.arch.attention_in(layer)}
    linear = [module for module in lm.arch.attention(layer).modules() if isinstance(module, nn.Linear | Conv1D)]
    outputs = [module for module in linear if id(module) not in inputs]
    if len(outputs) != 1:
        raise ModelError(f"layer {layer}: the attention has {len(outputs)} output projections, expected one")
    return outputs[0]
