"""Where the families of models keep their parts: module paths, and how a model's family is recognised by them.

A model belongs to the layout whose module paths all exist on it, so a new checkpoint of a known shape needs no
registration. Decoders and masked encoders have one stack of blocks, encoder-decoders a pair.
"""

from dataclasses import dataclass, replace
from operator import attrgetter

from torch import nn

from shared.errors import ModelError


@dataclass(frozen=True)
class Layout:
    """Module paths of one stack of blocks; those after `final_norm` are relative to a block.

    `final_norm` is None where each block ends with its norm (post-norm), `mlp` where no single module computes the
    feed-forward part. `mlp_in` is the branch that the activation follows, of two in gated feed-forward parts.
    """

    family: str
    blocks: str
    embedding: str
    final_norm: str | None
    mlp: str | None
    mlp_in: str
    mlp_out: str
    attention: str
    attention_in: tuple[str, ...]
    position_embedding: str | None = None
    rotary: str | None = None
    cross_attention: str | None = None


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
    Layout(
        "bert",
        blocks="bert.encoder.layer",
        embedding="bert.embeddings.word_embeddings",
        final_norm=None,
        mlp=None,
        mlp_in="intermediate.dense",
        mlp_out="output.dense",
        attention="attention",
        attention_in=("attention.self.query", "attention.self.key", "attention.self.value"),
        position_embedding="bert.embeddings.position_embeddings",
    ),
)

_T5_ENCODER = Layout(
    "t5",
    blocks="encoder.block",
    embedding="shared",
    final_norm="encoder.final_layer_norm",
    mlp="layer.1.DenseReluDense",
    mlp_in="layer.1.DenseReluDense.wi",
    mlp_out="layer.1.DenseReluDense.wo",
    attention="layer.0.SelfAttention",
    attention_in=("layer.0.SelfAttention.q", "layer.0.SelfAttention.k", "layer.0.SelfAttention.v"),
)
_T5_DECODER = replace(
    _T5_ENCODER,
    blocks="decoder.block",
    final_norm="decoder.final_layer_norm",
    mlp="layer.2.DenseReluDense",
    mlp_in="layer.2.DenseReluDense.wi",
    mlp_out="layer.2.DenseReluDense.wo",
    cross_attention="layer.1.EncDecAttention",
)
_BART_ENCODER = Layout(
    "bart",
    blocks="model.encoder.layers",
    embedding="model.shared",
    final_norm=None,
    mlp=None,
    mlp_in="fc1",
    mlp_out="fc2",
    attention="self_attn",
    attention_in=("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    position_embedding="model.encoder.embed_positions",
)
_BART_DECODER = replace(
    _BART_ENCODER,
    blocks="model.decoder.layers",
    position_embedding="model.decoder.embed_positions",
    cross_attention="encoder_attn",
)

# Of T5's gated feed-forward part, the branch that the activation follows (`wi_0`) is the one that MEND edits.
PAIRS = (
    (_T5_ENCODER, _T5_DECODER),
    (
        replace(_T5_ENCODER, family="t5_gated", mlp_in="layer.1.DenseReluDense.wi_0"),
        replace(_T5_DECODER, family="t5_gated", mlp_in="layer.2.DenseReluDense.wi_0"),
    ),
    (_BART_ENCODER, _BART_DECODER),
)


def _has(module: nn.Module, path: str) -> bool:
    try:
        attrgetter(path)(module)
    except AttributeError:
        return False
    return True


def _fits(model: nn.Module, layout: Layout) -> bool:
    outer = [layout.blocks, layout.embedding, layout.final_norm, layout.position_embedding, layout.rotary]
    if not all(_has(model, path) for path in outer if path):
        return False
    block = attrgetter(layout.blocks)(model)[0]
    inner = (layout.mlp_in, layout.mlp_out, layout.cross_attention, *layout.attention_in)
    return all(_has(block, path) for path in inner if path)


def find_layout(model: nn.Module) -> Layout:
    """Return the layout of a model with one stack of blocks, whose paths all exist on `model`.

    Raises:
        ModelError: if no known layout fits.
    """
    for layout in LAYOUTS:
        if _fits(model, layout):
            return layout
    raise _unknown(model, [layout.family for layout in LAYOUTS], "LAYOUTS")


def find_pair(model: nn.Module) -> tuple[Layout, Layout]:
    """Return the layouts of an encoder-decoder's two stacks, whose paths all exist on `model`.

    Raises:
        ModelError: if no known pair fits.
    """
    for encoder, decoder in PAIRS:
        if _fits(model, encoder) and _fits(model, decoder):
            return encoder, decoder
    raise _unknown(model, [encoder.family for encoder, _ in PAIRS], "PAIRS")


def _unknown(model: nn.Module, families: list[str], table: str) -> ModelError:
    return ModelError(
        f"{type(model).__name__} has none of the known layouts ({', '.join(families)}); "
        f"add its module paths to {table} in shared/model/module_paths.py"
    )
