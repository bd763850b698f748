"""Tiny random networks of both kinds, and prompts for them."""

from dataclasses import replace
from functools import cache

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BertConfig, BertForMaskedLM, PreTrainedTokenizerFast

from papers.kn.causal import CausalNetwork
from papers.kn.masked import MaskedNetwork
from papers.kn.network import Cloze
from shared.model.models import LM
from shared.model.tokens import encode
from shared.tests.tiny import tiny_lm

WORDS = (
    "Anna",
    "Bell",
    "Carl",
    "Dorn",
    "works",
    "work",
    "who",
    "plays",
    "as",
    "a",
    "the",
    "of",
    "in",
    "is",
    "was",
    "born",
)
WORDS += ("doctor", "pilot", "piano", "guitar", "Seattle", "Rome", ".", ",")
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
TEMPLATES = (
    "[X] works as a [Y].",
    "[X], who works as a [Y].",
    "the work of [X] is a [Y].",
    "[Y] is the work of [X].",
    "[X] is [Y].",
)


@cache
def word_tokenizer() -> PreTrainedTokenizerFast:
    """Return a word-level tokenizer with BERT's special tokens."""
    vocabulary = {word: place for place, word in enumerate([*SPECIAL, *WORDS])}
    inner = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    inner.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    names = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), SPECIAL, strict=True))
    return PreTrainedTokenizerFast(tokenizer_object=inner, **names)


@cache
def masked_network(layers: int = 3) -> MaskedNetwork:
    """Return a random BERT whose predictions are far from uniform."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = BertConfig(
            vocab_size=len(WORDS) + len(SPECIAL),
            hidden_size=32,
            num_hidden_layers=layers,
            num_attention_heads=4,
            intermediate_size=80,
            max_position_embeddings=64,
        )
        model = BertForMaskedLM(config)
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.ndim == 2:
                    parameter.mul_(6)
    return MaskedNetwork(LM(model, word_tokenizer(), "tiny-bert"))


@cache
def causal_network(family: str = "gpt2") -> CausalNetwork:
    """Return a random decoder."""
    return CausalNetwork(tiny_lm(family))


def network_of(kind: str):
    """Return the network called `masked`, or the decoder of a family."""
    return masked_network() if kind == "masked" else causal_network(kind)


def clozes_of(network):
    """Return prompts of several lengths; the answers are the model's own, so that they have a probability to lose."""
    if isinstance(network, MaskedNetwork):
        asked = [
            "Anna Bell works as a [MASK] .",
            "[MASK] is the piano",
            "Carl Dorn, [MASK].",
            "Carl Bell works as a [MASK] .",
        ]
        clozes = [network.cloze(prompt, "doctor") for prompt in asked]
    else:
        asked = ["Anna Bell works as a", "Anna Bell plays the", "The Space Needle is", "Carl Bell works as a"]
        ids = [tuple(encode(network.lm, prompt)) for prompt in asked]
        clozes = [Cloze(own, len(own) - 1, 0) for own in ids]
    best = [int(network.clean([cloze]).logits.argmax()) for cloze in clozes]
    return [replace(cloze, answer=answer) for cloze, answer in zip(clozes, best, strict=True)]
