"""The decoder's architecture, its growth from few blocks to all, and its parameters."""

from dataclasses import dataclass

import torch
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel

from shared.errors import ConfigError


@dataclass(frozen=True)
class DecoderShape:
    """Size of a GPT-2-like decoder.

    Attributes:
        d_model: width of the residual stream, a multiple of `heads`.
        layers: number of blocks of the finished model.
        early_layers: number of blocks that exist during the first stage of training, less than `layers`.
        heads: attention heads.
        positions: longest text in tokens; generation to 100 tokens needs more than that.
    """

    d_model: int
    layers: int
    early_layers: int
    heads: int
    positions: int = 128

    def __post_init__(self) -> None:
        if self.d_model % self.heads:
            raise ConfigError(f"decoder: d_model = {self.d_model} is no multiple of heads = {self.heads}")
        if not 0 < self.early_layers < self.layers:
            raise ConfigError(f"decoder: early_layers = {self.early_layers}, expected 1..{self.layers - 1}")


class GrowingDecoder:
    """A decoder that starts with its early blocks only; `grow` adds the rest as identity maps."""

    def __init__(self, shape: DecoderShape, vocab_size: int, seed: int):
        torch.manual_seed(seed)
        self.shape = shape
        self.model = GPT2LMHeadModel(
            GPT2Config(
                vocab_size=vocab_size,
                n_positions=shape.positions,
                n_embd=shape.d_model,
                n_layer=shape.layers,
                n_head=shape.heads,
                resid_pdrop=0.0,
                embd_pdrop=0.0,
                attn_pdrop=0.0,
                # GPT-2's activation in its fused form.
                activation_function="gelu_pytorch_tanh",
                # On one CPU thread the backward pass of fused attention takes longer than all matrix products together.
                attn_implementation="eager",
                bos_token_id=0,
                eos_token_id=0,
            )
        )
        self._blocks = self.model.transformer.h
        for block in self._blocks[shape.early_layers :]:
            torch.nn.init.zeros_(block.attn.c_proj.weight)
            torch.nn.init.zeros_(block.mlp.c_proj.weight)
        self.all_parameters = dict(self.model.named_parameters())
        self._use(shape.early_layers)

    def grow(self) -> None:
        """Add the late blocks; the function computed does not change until they are trained."""
        self._use(self.shape.layers)

    def freeze_early(self, frozen: bool) -> None:
        """Exclude the early blocks from training, or take them back in; embeddings are always trained."""
        for block in self._blocks[: self.shape.early_layers]:
            block.requires_grad_(not frozen)

    def _use(self, layers: int) -> None:
        self.model.transformer.h = self._blocks[:layers]
        self.model.config.n_layer = layers


def block_matrices(decoder: GrowingDecoder) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Return the matrices of all blocks, late ones included, and all other parameters."""
    named = decoder.all_parameters.items()
    matrices = [p for name, p in named if ".h." in name and p.ndim == 2]
    return matrices, [p for name, p in named if not (".h." in name and p.ndim == 2)]


@torch.no_grad()
def rescale_stream(model: GPT2LMHeadModel, factor: float) -> None:
    """Multiply the residual stream by `factor` without changing what the model computes.

    Everything that writes to the stream (embeddings, attention and MLP outputs) is multiplied by `factor`. The layer
    norms that read it undo any factor, up to their epsilon; the unembedding is the embedding itself, so the final
    norm's gain and bias are divided by it.
    """
    transformer = model.transformer
    writers = [transformer.wte.weight, transformer.wpe.weight]
    for block in transformer.h:
        writers += [*block.attn.c_proj.parameters(), *block.mlp.c_proj.parameters()]
    for weight in writers:
        weight.mul_(factor)
    for weight in transformer.ln_f.parameters():
        weight.div_(factor)
