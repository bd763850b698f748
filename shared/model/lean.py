"""Forward passes without the work that nobody reads, on the model's own modules.

The contexts here shadow a module's `forward` on the instance and take it away at the end, so hooks on the modules
still fire and the model is untouched outside.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from transformers.activations import NewGELUActivation

from shared.model.models import LM


@contextmanager
def shadowed(module: nn.Module, forward: Callable) -> Iterator[None]:
    """Let `forward` stand in for the module's own inside the context; its hooks still fire."""
    module.forward = forward
    try:
        yield
    finally:
        del module.forward


@contextmanager
def fused_gelu(lm: LM) -> Iterator[None]:
    """Compute GPT-2's and GPT-J's GELU by one kernel instead of eight (equal to float32 rounding).

    The tanh approximation spelled out in elementwise operations takes a third of a small model's time.
    """
    fused = partial(torch.nn.functional.gelu, approximate="tanh")
    with ExitStack() as stack:
        for module in lm.model.modules():
            if isinstance(module, NewGELUActivation):
                stack.enter_context(shadowed(module, fused))
        yield


@contextmanager
def mlp_only_at(lm: LM, layer: int, wanted: Bool[Tensor, "row pos"]) -> Iterator[None]:
    """Run the MLP of `layer` at the wanted positions only; its output elsewhere is zero.

    Meant for the last block, whose output is read at few positions. Inside, the MLP's own parts see a flat
    (wanted position, width) tensor.
    """
    mlp = lm.arch.mlp(layer)
    whole = mlp.forward
    rows, columns = wanted.nonzero(as_tuple=True)

    def forward(hidden: Tensor) -> Tensor:
        return torch.zeros_like(hidden).index_put((rows, columns), whole(hidden[rows, columns]))

    with shadowed(mlp, forward):
        yield


@contextmanager
def constant_after_first(modules: Sequence[nn.Module], outputs: Sequence[Float[Tensor, "row pos _"]]) -> Iterator[None]:
    """Run position-wise modules at position 0 only; elsewhere their outputs are the given constants.

    Meant for the projections of an attention whose input changes at one position only.
    """
    with ExitStack() as stack:
        for module, output in zip(modules, outputs, strict=True):

            def forward(x: Tensor, whole: Callable = module.forward, rest: Tensor = output[:, 1:]) -> Tensor:
                return torch.cat([whole(x[:, :1]), rest], dim=1)

            stack.enter_context(shadowed(module, forward))
        yield
