"""Parts found by structure on every family, against the model's own forward pass."""

import pytest
import torch
from torch import nn

from shared.errors import ModelError
from shared.inference.answers import answer_batch
from shared.model.hooks import capture
from shared.model.models import EncoderDecoder, load_lm, load_model
from shared.model.module_paths import find_layout
from shared.tests.families import tiny_model
from shared.tests.tiny import FAMILIES, tiny_lm

PAIRS = ("t5", "t5_gated", "bart")
BERTS = ("bert_masked", "bert_one_logit", "bert_two_classes")
ACTIVATION = {"t5": torch.relu, "bart": nn.functional.gelu}


def run(lm):
    if lm.model.config.is_encoder_decoder:
        batch = answer_batch(lm, ["who plays the piano ?", "rain ?"], ["anna bell", "red"])
        return lm.model(**batch.inputs(), output_hidden_states=True)
    batch = lm.tokenizer(["anna bell plays the [MASK] .", "rain"], padding=True, return_tensors="pt")
    return lm.model(**batch, output_hidden_states=True)


@pytest.mark.parametrize("family", PAIRS)
def test_blocks_of_both_stacks_have_names_and_numbers(family):
    lm = tiny_model(family)
    arch = lm.arch
    assert isinstance(arch, EncoderDecoder)
    assert arch.layers == ("encoder.0", "encoder.1", "encoder.2", "decoder.0", "decoder.1")
    assert arch.n_layers == 5
    assert arch.block(3) is arch.block("decoder.0") is arch.decoder.block(0)
    assert arch.mlp_out("encoder.2") is arch.encoder.mlp_out(2)
    assert (arch.in_features(arch.mlp_out("decoder.1")), arch.out_features(arch.mlp_out("decoder.1"))) == (40, 16)
    assert (arch.d_model, arch.d_mlp, arch.encoder.d_mlp) == (16, 40, 40)
    assert not arch.input_first(arch.mlp_out(0))
    assert arch.module_named(arch.name_of(arch.mlp_in("decoder.1"))) is arch.mlp_in("decoder.1")
    assert arch.attention_out("decoder.0").weight.shape == (16, 16)
    assert arch.decoder.cross_attention(0) is not arch.decoder.attention(0)
    assert arch.describe()["decoder"]["layers"] == 2
    for layer in (5, -1, "decoder.2", "middle.0"):
        with pytest.raises(ModelError, match="does not exist"):
            arch.block(layer)
    with pytest.raises(ModelError, match="no attention to another stack"):
        arch.encoder.cross_attention(0)


@pytest.mark.parametrize("family", PAIRS)
def test_the_head_reads_the_normed_decoder_states(family):
    lm = tiny_model(family)
    out = run(lm)
    # The last of a T5 stack's hidden states is normed already; T5 with a tied head also divides by sqrt(d_model).
    final = out.decoder_hidden_states[-1]
    scale = lm.arch.d_model**-0.5 if family == "t5" else 1.0
    assert torch.allclose(lm.arch.head(scale * final), out.logits, atol=1e-5)
    assert lm.arch.unembedding is lm.arch.head
    assert (lm.arch.decoder.final_norm is None) == (family == "bart")


@pytest.mark.parametrize("family", ["t5", "bart"])
def test_keys_follow_the_activation(family):
    lm = tiny_model(family)
    for layer in lm.arch.layers:
        with (
            capture({"in": lm.arch.mlp_in(layer)}) as seen,
            capture({"key": lm.arch.mlp_out(layer)}, inputs=True) as keys,
        ):
            run(lm)
        assert torch.allclose(keys["key"], ACTIVATION[family](seen["in"]), atol=1e-6)


@pytest.mark.parametrize("family", BERTS)
def test_bert_has_one_stack_without_a_final_norm(family):
    lm = tiny_model(family)
    arch = lm.arch
    assert list(arch.layers) == [0, 1, 2]
    assert arch.family == "bert"
    assert arch.final_norm is None
    assert arch.attention_out(1).weight.shape == (16, 16)
    assert len(arch.attention_in(1)) == 3
    assert (arch.d_mlp, arch.n_positions) == (40, 32)
    with capture({"in": arch.mlp_in(2)}) as seen, capture({"key": arch.mlp_out(2)}, inputs=True) as keys:
        out = run(lm)
    assert torch.allclose(keys["key"], nn.functional.gelu(seen["in"]), atol=1e-6)
    if family == "bert_masked":
        assert torch.allclose(arch.head(out.hidden_states[-1]), out.logits, atol=1e-5)
        assert arch.unembedding is lm.model.get_output_embeddings()
    else:
        pooled = lm.model.bert.pooler(out.hidden_states[-1])
        assert torch.allclose(arch.head(pooled), out.logits, atol=1e-5)
        assert arch.unembedding is None
    with pytest.raises(ModelError, match="several modules"):
        arch.mlp(0)


@pytest.mark.parametrize("family", FAMILIES)
def test_decoders_keep_their_numbers(family):
    lm = tiny_lm(family)
    assert list(lm.arch.layers) == [0, 1, 2]
    assert lm.arch.head is lm.arch.unembedding
    assert lm.arch.mlp(1) is not None


def test_an_unknown_layout_is_named():
    with pytest.raises(ModelError, match=r"Linear has none of the known layouts .*module_paths"):
        find_layout(nn.Linear(2, 2))


@pytest.mark.parametrize(
    ("family", "kind"),
    [("t5", "seq2seq"), ("bart", "seq2seq"), ("bert_masked", "masked"), ("bert_one_logit", "classifier")],
)
def test_a_saved_model_loads_as_its_kind(family, kind, tmp_path):
    lm = tiny_model(family)
    lm.model.save_pretrained(tmp_path)
    lm.tokenizer.save_pretrained(tmp_path)
    loaded = load_model(tmp_path, kind)
    assert torch.equal(run(loaded).logits, run(lm).logits)
    (tmp_path / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(ModelError, match="pickles can run code"):
        load_model(tmp_path, kind)


def test_a_missing_head_is_refused_instead_of_drawn_at_random(tmp_path):
    lm = tiny_model("bert_masked")
    lm.model.save_pretrained(tmp_path)
    lm.tokenizer.save_pretrained(tmp_path)
    with pytest.raises(ModelError, match=r"as a sequence classifier: the weights lack .*classifier\.weight"):
        load_model(tmp_path, "classifier")
    with pytest.raises(ModelError, match="is a masked encoder"):
        load_lm(tmp_path)
