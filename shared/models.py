"""Loading a language model and finding its parts by structure.

The project knows four layouts of decoders (GPT-2, GPT-J, GPT-NeoX and LLaMA-like). A model belongs to the layout whose
module paths all exist on it, so a new checkpoint of a known shape needs no registration.
"""

import inspect
import sys
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path

import torch
from torch import nn
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.pytorch_utils import Conv1D
from transformers.utils.logging import disable_progress_bar

from shared.errors import ModelError


@dataclass(frozen=True)
class Layout:
    """Module paths of one family; those after `final_norm` are relative to a block."""

    family: str
    blocks: str
    embedding: str
    final_norm: str
    mlp: str
    mlp_in: str
    mlp_out: str
    attention: str
    attention_in: tuple[str, ...]
    position_embedding: str | None = None
    rotary: str | None = None


LAYOUTS = (
    Layout(
        "gpt2",
        blocks="transformer.h",
        embedding="transformer.wte",
        final_norm="transformer.ln_f",
        mlp="mlp",
        mlp_in="mlp.c_fc",
        mlp_out="mlp.c_proj",
        attention="attn",
        attention_in=("attn.c_attn",),
        position_embedding="transformer.wpe",
    ),
    Layout(
        "gptj",
        blocks="transformer.h",
        embedding="transformer.wte",
        final_norm="transformer.ln_f",
        mlp="mlp",
        mlp_in="mlp.fc_in",
        mlp_out="mlp.fc_out",
        attention="attn",
        attention_in=("attn.q_proj", "attn.k_proj", "attn.v_proj"),
    ),
    Layout(
        "gpt_neox",
        blocks="gpt_neox.layers",
        embedding="gpt_neox.embed_in",
        final_norm="gpt_neox.final_layer_norm",
        mlp="mlp",
        mlp_in="mlp.dense_h_to_4h",
        mlp_out="mlp.dense_4h_to_h",
        attention="attention",
        attention_in=("attention.query_key_value",),
        rotary="gpt_neox.rotary_emb",
    ),
    Layout(
        "llama",
        blocks="model.layers",
        embedding="model.embed_tokens",
        final_norm="model.norm",
        mlp="mlp",
        mlp_in="mlp.up_proj",
        mlp_out="mlp.down_proj",
        attention="self_attn",
        attention_in=("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
        rotary="model.rotary_emb",
    ),
)


def _has(module: nn.Module, path: str) -> bool:
    try:
        attrgetter(path)(module)
    except AttributeError:
        return False
    return True


def find_layout(model: nn.Module) -> Layout:
    """Return the layout whose paths all exist on `model`.

    Raises:
        ModelError: if no known layout fits.
    """
    for layout in LAYOUTS:
        outer = [layout.blocks, layout.embedding, layout.final_norm, layout.position_embedding, layout.rotary]
        if not all(_has(model, path) for path in outer if path):
            continue
        block = attrgetter(layout.blocks)(model)[0]
        if all(_has(block, path) for path in (layout.mlp_in, layout.mlp_out, *layout.attention_in)):
            return layout
    known = ", ".join(layout.family for layout in LAYOUTS)
    raise ModelError(
        f"{type(model).__name__} has none of the known layouts ({known}); "
        "add its module paths to LAYOUTS in shared/models.py"
    )


class Architecture:
    """The parts of one decoder, addressed by what they are rather than by what their class calls them."""

    def __init__(self, model: PreTrainedModel):
        self._model = model
        self.layout = find_layout(model)
        self.family = self.layout.family
        self.blocks = attrgetter(self.layout.blocks)(model)
        self.embedding: nn.Embedding = attrgetter(self.layout.embedding)(model)
        self.final_norm: nn.Module = attrgetter(self.layout.final_norm)(model)
        self.unembedding: nn.Module = model.get_output_embeddings()
        self.position_embedding = self._optional(self.layout.position_embedding)
        self.rotary = self._optional(self.layout.rotary)
        self.n_layers = len(self.blocks)
        self.d_model = self.embedding.embedding_dim
        self.d_mlp = self.in_features(self.mlp_out(0))
        self.n_positions: int = model.config.max_position_embeddings
        parameters = inspect.signature(self.blocks[0].forward).parameters
        self.cache_argument = "layer_past" if "layer_past" in parameters else "past_key_values"
        self._names = {id(module): name for name, module in model.named_modules()}

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
        """Return the feed-forward module of block `layer`."""
        return attrgetter(self.layout.mlp)(self.block(layer))

    def mlp_in(self, layer: int) -> nn.Module:
        """Return the up projection (d_model → d_mlp) of block `layer`."""
        return attrgetter(self.layout.mlp_in)(self.block(layer))

    def mlp_out(self, layer: int) -> nn.Module:
        """Return the down projection (d_mlp → d_model) of block `layer`; its input is the key of ROME and MEMIT."""
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

    def describe(self) -> dict[str, str | int]:
        """Return what was found, for a person to check a new model with."""
        return {
            "family": self.family,
            "layers": self.n_layers,
            "d_model": self.d_model,
            "d_mlp": self.d_mlp,
            "positions": self.n_positions,
            "vocabulary": self.embedding.num_embeddings,
            "key site": self.name_of(self.mlp_out(0)).replace(".0.", ".{}."),
            "attention site": self.name_of(self.attention(0)).replace(".0.", ".{}."),
        }


@dataclass(frozen=True)
class LM:
    """A causal language model with its tokenizer and its parts."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    name: str
    arch: Architecture = field(init=False)

    def __post_init__(self) -> None:
        self.model.eval().requires_grad_(False)
        object.__setattr__(self, "arch", Architecture(self.model))

    @property
    def device(self) -> torch.device:
        """Device of the embedding, where inputs are placed."""
        return self.arch.embedding.weight.device

    @property
    def dtype(self) -> torch.dtype:
        """Floating-point type of the residual stream."""
        return self.arch.embedding.weight.dtype


def _check_local(path: Path) -> None:
    if not (path / "config.json").exists():
        raise ModelError(f"{path}: no config.json; expected a folder written by save_pretrained")
    if not any(path.glob("*.safetensors")):
        found = ", ".join(sorted(file.name for file in path.glob("*.bin"))) or "none"
        raise ModelError(
            f"{path}: no .safetensors weights (pickled weights found: {found}); pickles can run code and are refused: "
            "convert the checkpoint with save_pretrained(safe_serialization=True)"
        )


def load_lm(
    name_or_path: str | Path,
    *,
    revision: str | None = None,
    dtype: torch.dtype = torch.float32,
    device: str | torch.device = "cpu",
) -> LM:
    """Load a decoder and its tokenizer from a folder or the Hugging Face hub, safetensors only.

    Args:
        name_or_path: a folder written by `save_pretrained`, or a hub id such as `gpt2-xl`.
        revision: commit of the hub repository, for a pinned checkpoint.
        dtype: type of the weights; headline runs use float32.
        device: where the weights go.

    Raises:
        ModelError: no such model, no safetensors weights, or an unknown layout.
    """
    path = Path(name_or_path)
    if path.is_dir():
        _check_local(path)
    options = {"revision": revision, "trust_remote_code": False}
    if not sys.stderr.isatty():
        disable_progress_bar()
    try:
        model = AutoModelForCausalLM.from_pretrained(name_or_path, dtype=dtype, use_safetensors=True, **options)
        tokenizer = AutoTokenizer.from_pretrained(name_or_path, **options)
    except (OSError, ValueError) as error:
        raise ModelError(f"cannot load {str(name_or_path)!r} as a causal language model: {error}") from error
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.padding_side = "right"
    return LM(model.to(device), tokenizer, str(name_or_path))
