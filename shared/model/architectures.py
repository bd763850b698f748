"""The parts of a model, addressed by what they are rather than by what their class calls them.

`Architecture` is one stack of blocks: a decoder or a masked encoder. `EncoderDecoder` is two of them with a common
embedding and head; its blocks are called "encoder.0", …, "decoder.2".
"""

import inspect
from operator import attrgetter

from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from shared.errors import ModelError
from shared.model.module_paths import Layout, find_layout, find_pair

Address = int | str


class Parts:
    """What every architecture offers: modules by name, and the orientation of their weights.

    Attributes:
        embedding: the token embedding.
        unembedding: the projection to the vocabulary; None for a classifier.
        head: the module from final states to the output: BERT's whole prediction head or its classifier, else
            `unembedding`.
        n_positions: longest input in tokens; None where positions are relative, without a limit.
    """

    def __init__(self, model: PreTrainedModel, layout: Layout):
        self._model = model
        self.layout = layout
        self.family = layout.family
        self.embedding: nn.Embedding = attrgetter(layout.embedding)(model)
        self.unembedding: nn.Module | None = model.get_output_embeddings()
        heads = [getattr(model, name) for name in ("cls", "classifier") if hasattr(model, name)]
        self.head: nn.Module | None = heads[0] if heads else self.unembedding
        self.d_model = self.embedding.embedding_dim
        self.n_positions: int | None = getattr(model.config, "max_position_embeddings", None)
        self._names = {id(module): name for name, module in model.named_modules()}

    def name_of(self, module: nn.Module) -> str:
        """Return the dotted name of `module` inside the model, e.g. `transformer.h.3.mlp.c_proj`."""
        return self._names[id(module)]

    def module_named(self, name: str) -> nn.Module:
        """Return the linear module called `name`.

        Raises:
            ModelError: if there is none or it is not a linear map.
        """
        try:
            module = self._model.get_submodule(name)
        except AttributeError as error:
            raise ModelError(f"module {name!r} does not exist in this {self.family} model") from error
        if not isinstance(module, nn.Linear | Conv1D):
            raise ModelError(f"module {name!r} is a {type(module).__name__}, expected a linear map")
        return module

    @staticmethod
    def input_first(module: nn.Module) -> bool:
        """Return True if the weight is stored as (d_in, d_out), as GPT-2's Conv1D does."""
        return isinstance(module, Conv1D)

    @classmethod
    def in_features(cls, module: nn.Module) -> int:
        """Return d_in of a linear module."""
        return module.weight.shape[0 if cls.input_first(module) else 1]

    @classmethod
    def out_features(cls, module: nn.Module) -> int:
        """Return d_out of a linear module."""
        return module.weight.shape[1 if cls.input_first(module) else 0]


class Architecture(Parts):
    """The parts of one stack of blocks, which are numbered from 0."""

    def __init__(self, model: PreTrainedModel, layout: Layout | None = None):
        super().__init__(model, layout or find_layout(model))
        self.blocks = attrgetter(self.layout.blocks)(model)
        self.final_norm = self._optional(self.layout.final_norm)
        self.position_embedding = self._optional(self.layout.position_embedding)
        self.rotary = self._optional(self.layout.rotary)
        self.n_layers = len(self.blocks)
        self.d_mlp = self.in_features(self.mlp_out(0))
        parameters = inspect.signature(self.blocks[0].forward).parameters
        self.cache_argument = "layer_past" if "layer_past" in parameters else "past_key_values"

    @property
    def layers(self) -> range:
        """Numbers of the blocks, in the order of computation."""
        return range(self.n_layers)

    def _optional(self, path: str | None) -> nn.Module | None:
        return attrgetter(path)(self._model) if path else None

    def block(self, layer: int) -> nn.Module:
        """Return block `layer` (from 0).

        Raises:
            ModelError: if the model has no such layer.
        """
        if not 0 <= layer < self.n_layers:
            raise ModelError(f"layer {layer} does not exist: {self.family} model has layers 0..{self.n_layers - 1}")
        return self.blocks[layer]

    def mlp(self, layer: int) -> nn.Module:
        """Return the feed-forward module of block `layer`.

        Raises:
            ModelError: the family (BERT, BART) has no single module for it; use `mlp_in` and `mlp_out`.
        """
        if self.layout.mlp is None:
            raise ModelError(f"{self.family} blocks compute their feed-forward part in several modules; use mlp_out")
        return attrgetter(self.layout.mlp)(self.block(layer))

    def mlp_in(self, layer: int) -> nn.Module:
        """Return the up projection (d_model → d_mlp) of block `layer`."""
        return attrgetter(self.layout.mlp_in)(self.block(layer))

    def mlp_out(self, layer: int) -> nn.Module:
        """Return the down projection (d_mlp → d_model) of block `layer`.

        Its input is what follows the activation: the key of ROME and MEMIT, the neurons of knowledge neurons.
        """
        return attrgetter(self.layout.mlp_out)(self.block(layer))

    def attention(self, layer: int) -> nn.Module:
        """Return the self-attention module of block `layer`."""
        return attrgetter(self.layout.attention)(self.block(layer))

    def attention_in(self, layer: int) -> list[nn.Module]:
        """Return the projections to queries, keys and values of block `layer` (one fused module or three)."""
        return [attrgetter(path)(self.block(layer)) for path in self.layout.attention_in]

    def attention_out(self, layer: int) -> nn.Module:
        """Return the output projection of block `layer`'s attention: its one linear map besides `attention_in`.

        Raises:
            ModelError: the attention has none, or several.
        """
        inputs = {id(module) for module in self.attention_in(layer)}
        linear = [module for module in self.attention(layer).modules() if isinstance(module, nn.Linear | Conv1D)]
        outputs = [module for module in linear if id(module) not in inputs]
        if len(outputs) != 1:
            raise ModelError(f"layer {layer}: the attention has {len(outputs)} output projections, expected one")
        return outputs[0]

    def cross_attention(self, layer: int) -> nn.Module:
        """Return the module of block `layer` that attends to the encoder's states.

        Raises:
            ModelError: the stack is no decoder of an encoder-decoder.
        """
        if self.layout.cross_attention is None:
            raise ModelError(f"this {self.family} stack has no attention to another stack")
        return attrgetter(self.layout.cross_attention)(self.block(layer))

    def describe(self) -> dict[str, str | int | None]:
        """Return what was found, for a person to check a new model with."""
        return {
            "family": self.family,
            "layers": self.n_layers,
            "d_model": self.d_model,
            "d_mlp": self.d_mlp,
            "positions": self.n_positions,
            "vocabulary": self.embedding.num_embeddings,
            "key site": self.name_of(self.mlp_out(0)).replace(".0.", ".{}.", 1),
            "attention site": self.name_of(self.attention(0)).replace(".0.", ".{}.", 1),
        }


class EncoderDecoder(Parts):
    """The parts of an encoder-decoder; a layer is "encoder.1", "decoder.0", or a number over both, encoder first."""

    def __init__(self, model: PreTrainedModel):
        encoder, decoder = find_pair(model)
        super().__init__(model, encoder)
        self.encoder = Architecture(model, encoder)
        self.decoder = Architecture(model, decoder)
        self.d_mlp = self.decoder.d_mlp
        self.n_layers = self.encoder.n_layers + self.decoder.n_layers

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the blocks, in the order of computation."""
        return tuple(f"{name}.{layer}" for name in ("encoder", "decoder") for layer in getattr(self, name).layers)

    def stack_of(self, layer: Address) -> tuple[Architecture, int]:
        """Return the stack that `layer` belongs to and its number there.

        Raises:
            ModelError: if there is no such layer.
        """
        name = self.layers[layer] if isinstance(layer, int) and 0 <= layer < self.n_layers else layer
        if name not in self.layers:
            raise ModelError(f"layer {layer!r} does not exist: this model has {', '.join(self.layers)}")
        stack, number = str(name).split(".")
        return getattr(self, stack), int(number)

    def block(self, layer: Address) -> nn.Module:
        """Return the block called `layer`."""
        stack, number = self.stack_of(layer)
        return stack.block(number)

    def mlp(self, layer: Address) -> nn.Module:
        """Return the feed-forward module of `layer`, see `Architecture.mlp`."""
        stack, number = self.stack_of(layer)
        return stack.mlp(number)

    def mlp_in(self, layer: Address) -> nn.Module:
        """Return the up projection (d_model → d_mlp) of `layer`; of a gated part, the branch with the activation."""
        stack, number = self.stack_of(layer)
        return stack.mlp_in(number)

    def mlp_out(self, layer: Address) -> nn.Module:
        """Return the down projection (d_mlp → d_model) of `layer`; its input is what follows the activation."""
        stack, number = self.stack_of(layer)
        return stack.mlp_out(number)

    def attention(self, layer: Address) -> nn.Module:
        """Return the self-attention module of `layer`."""
        stack, number = self.stack_of(layer)
        return stack.attention(number)

    def attention_in(self, layer: Address) -> list[nn.Module]:
        """Return the projections to queries, keys and values of the self-attention of `layer`."""
        stack, number = self.stack_of(layer)
        return stack.attention_in(number)

    def attention_out(self, layer: Address) -> nn.Module:
        """Return the output projection of the self-attention of `layer`."""
        stack, number = self.stack_of(layer)
        return stack.attention_out(number)

    def describe(self) -> dict[str, dict[str, str | int | None]]:
        """Return what was found in each stack, for a person to check a new model with."""
        return {"encoder": self.encoder.describe(), "decoder": self.decoder.describe()}


def find_parts(model: PreTrainedModel) -> Architecture | EncoderDecoder:
    """Return the parts of `model`, found by structure.

    Raises:
        ModelError: an unknown layout.
    """
    return EncoderDecoder(model) if model.config.is_encoder_decoder else Architecture(model)
