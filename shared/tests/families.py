"""Tiny random encoders, encoder-decoders and classifiers, built from their configs; nothing is downloaded."""

from functools import cache

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    BertConfig,
    BertForMaskedLM,
    BertForSequenceClassification,
    PreTrainedTokenizerFast,
    T5Config,
    T5ForConditionalGeneration,
)

from shared.model.models import LM

TEXT = "who plays the piano in town of rain anna bell doctor is a works as red blue one two . ?"
WORDS = TEXT.split()
SPECIAL = ["<pad>", "</s>", "<unk>", "[CLS]", "[SEP]", "[MASK]", "<s>"]


@cache
def word_tokenizer(style: str) -> PreTrainedTokenizerFast:
    """Return a word-level tokenizer that frames texts as `style` ("t5", "bart" or "bert") does."""
    vocabulary = {word: index for index, word in enumerate([*SPECIAL, *WORDS])}
    inner = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    frames = {"t5": "$A </s>", "bart": "<s> $A </s>", "bert": "[CLS] $A [SEP]"}
    inner.post_processor = processors.TemplateProcessing(
        single=frames[style], special_tokens=[(word, vocabulary[word]) for word in SPECIAL]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=inner,
        pad_token="<pad>",
        eos_token="</s>",
        bos_token="<s>",
        unk_token="<unk>",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
    )


def _bert(labels: int = 2) -> BertConfig:
    return BertConfig(
        vocab_size=len(SPECIAL) + len(WORDS),
        hidden_size=16,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=40,
        max_position_embeddings=32,
        num_labels=labels,
    )


def _build(family: str):
    size = len(SPECIAL) + len(WORDS)
    if family.startswith("t5"):
        kind = "gated-gelu" if family == "t5_gated" else "relu"
        return T5ForConditionalGeneration(
            T5Config(
                vocab_size=size,
                d_model=16,
                d_kv=8,
                d_ff=40,
                num_layers=3,
                num_decoder_layers=2,
                num_heads=2,
                feed_forward_proj=kind,
                tie_word_embeddings=family == "t5",
                pad_token_id=0,
                eos_token_id=1,
                decoder_start_token_id=0,
            )
        )
    if family == "bart":
        return BartForConditionalGeneration(
            BartConfig(
                vocab_size=size,
                d_model=16,
                encoder_layers=3,
                decoder_layers=2,
                encoder_ffn_dim=40,
                decoder_ffn_dim=40,
                encoder_attention_heads=2,
                decoder_attention_heads=2,
                max_position_embeddings=32,
                pad_token_id=0,
                eos_token_id=1,
                bos_token_id=6,
                decoder_start_token_id=1,
                forced_eos_token_id=1,
            )
        )
    if family == "bert_masked":
        return BertForMaskedLM(_bert())
    return BertForSequenceClassification(_bert(labels=1 if family == "bert_one_logit" else 2))


@cache
def tiny_model(family: str, seed: int = 0) -> LM:
    """Return a random model of `family`: t5, t5_gated, bart, bert_masked, bert_one_logit or bert_two_classes."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = _build(family)
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.ndim == 2:
                    parameter.mul_(4)
                else:
                    parameter.add_(0.1 * torch.randn_like(parameter))
    return LM(model, word_tokenizer(family.split("_")[0]), f"tiny-{family}")
