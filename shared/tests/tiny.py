"""Tiny random models of every layout, built from their configs, with a byte-level tokenizer; nothing is downloaded."""

from functools import cache

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    GPTJConfig,
    GPTNeoXConfig,
    LlamaConfig,
    PreTrainedTokenizerFast,
)

from shared.model.models import LM

FAMILIES = ("gpt2", "gptj", "gpt_neox", "llama")
TEXTS = (
    "The mother tongue of Danielle Darrieux is French.",
    "Anna Bell works as a doctor. Anna Bell plays the piano.",
    "The Space Needle is in downtown Seattle, a city of rain.",
)


@cache
def tokenizer() -> PreTrainedTokenizerFast:
    """Return a byte-level BPE tokenizer whose only special token, id 0, is `<|endoftext|>`."""
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=330,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    inner.train_from_iterator(TEXTS * 4, trainer)
    end = "<|endoftext|>"
    return PreTrainedTokenizerFast(tokenizer_object=inner, bos_token=end, eos_token=end, pad_token=end, unk_token=end)


def _config(family: str, layers: int):
    special = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0, "vocab_size": len(tokenizer())}
    wide = {"hidden_size": 32, "num_hidden_layers": layers, "num_attention_heads": 4, "intermediate_size": 80}
    if family == "gpt2":
        none = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
        return GPT2Config(n_embd=32, n_layer=layers, n_head=4, n_positions=128, **none, **special)
    if family == "gptj":
        return GPTJConfig(n_embd=32, n_layer=layers, n_head=4, rotary_dim=4, n_positions=128, **special)
    if family == "gpt_neox":
        return GPTNeoXConfig(max_position_embeddings=128, **wide, **special)
    return LlamaConfig(num_key_value_heads=2, max_position_embeddings=128, **wide, **special)


@cache
def tiny_lm(family: str = "gpt2", layers: int = 3, seed: int = 0) -> LM:
    """Return a random model; weights are scaled up so that its predictions are far from uniform."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(_config(family, layers))
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.ndim == 2:
                    parameter.mul_(4)
                else:
                    parameter.add_(0.1 * torch.randn_like(parameter))
    return LM(model, tokenizer(), f"tiny-{family}")
