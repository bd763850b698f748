"""The counterfactual model h(z, x): it answers an input as if an edit were true (§3.1 of the paper).

It is small, of the base model's family and with its tokenizer, so that its predictions can take the place of the base
model's: an encoder-decoder, a classifier or a decoder that reads the edit before the input.
"""

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers import T5ForConditionalGeneration

from papers.serac.descriptor import Descriptor
from papers.serac.texts import counterfactual_input, counterfactual_text, questions_of
from shared.edits.routing import require_same_words
from shared.errors import ConfigError, ModelError
from shared.inference.text_batches import DECODER, TextBatch, TextRow, collate, encode_row, family_of, predictions
from shared.inference.verdicts import SUPPORTS
from shared.model.models import LM, load_model

# Added to the logits of attention to the token before: e^4 times as much as to any other.
LOOKS_BACK = 4.0


def load_counterfactual(folder: str | Path, base: LM) -> LM:
    """Return a counterfactual model for a base model.

    A decoder may know more words than the base model.

    Raises:
        ModelError: the two models' words differ.
    """
    family = family_of(base.model)
    model = load_model(folder, kind=family, device=base.device)
    require_same_words(base, model)
    if family != DECODER and len(model.tokenizer) != len(base.tokenizer):
        raise ModelError(
            f"{folder} has {len(model.tokenizer)} words, {base.name} {len(base.tokenizer)}: its predictions cannot "
            "take the place of the base model's"
        )
    return model


def fresh_counterfactual(base: LM, sizes: Mapping[str, int]) -> LM:
    """Return an untrained model of the base model's class and words, with other sizes; torch's seed decides on weights.

    An encoder-decoder starts ready to copy, see `ready_to_copy`.

    Args:
        sizes: fields of the model's configuration, such as d_model.

    Raises:
        ConfigError: the configuration has no such field.
    """
    config = copy.deepcopy(base.model.config)
    for name, value in sizes.items():
        if not hasattr(config, name):
            raise ConfigError(f"counterfactual model: {base.name} has no size {name!r}")
        setattr(config, name, value)
    lm = LM(type(base.model)(config).to(base.device), base.tokenizer, f"a small {base.name}")
    if config.model_type == "t5":
        ready_to_copy(lm.model)
    return lm


@torch.no_grad()
def ready_to_copy(model: T5ForConditionalGeneration) -> None:
    """Set the initial weights of an untrained T5 such that copying from its input takes little learning.

    What a decoder's attention reads of the encoder is added to its state unchanged (as far as heads have the width for
    it), and with it, embeddings being shared with the output, the logit of the token that is read. Half of the heads of
    the encoder's first layer look at the token before: with that the decoder finds what stands behind what it wrote.
    """
    for block in model.decoder.block:
        read = block.layer[1].EncDecAttention
        nn.init.eye_(read.v.weight)
        nn.init.eye_(read.o.weight)
    first = model.encoder.block[0].layer[0].SelfAttention
    before = first._relative_position_bucket(
        torch.tensor([-1]),
        bidirectional=True,
        num_buckets=first.relative_attention_num_buckets,
        max_distance=first.relative_attention_max_distance,
    )
    first.relative_attention_bias.weight[before, : max(1, first.n_heads // 2)] = LOOKS_BACK


def counterfactual_row(lm: LM, edit: Descriptor, question: str, answer: str) -> TextRow:
    """Return the row that teaches the answer to a question under an edit, and that nothing follows it.

    An encoder-decoder's answers have their end token. A decoder's get the full stop that ends a statement: without it,
    nothing tells the decoder where to stop, and it repeats what it said.
    """
    ended = f"{answer}." if family_of(lm.model) == DECODER else answer
    return encode_row(lm, counterfactual_input(lm, edit, question), ended)


def counterfactual_predictions(
    lm: LM, base: LM, edits: Sequence[Descriptor], batch: TextBatch
) -> Float[Tensor, "row pos out"]:
    """Return the counterfactual model's predictions in the places of a batch of the base model.

    Args:
        lm: the counterfactual model.
        edits: the edit under which each row of the batch is answered.
    """
    questions = questions_of(base, batch)
    texts = [counterfactual_text(edit, question) for edit, question in zip(edits, questions, strict=True)]
    if batch.binary:
        return predictions(lm, collate(lm, [encode_row(lm, text, SUPPORTS) for text in texts]))
    asked = lm.tokenizer(texts, padding=True, return_tensors="pt").to(lm.device)
    inputs = {
        "input_ids": asked["input_ids"],
        "attention_mask": asked["attention_mask"],
        "decoder_input_ids": batch.inputs["decoder_input_ids"],
    }
    return predictions(lm, TextBatch(inputs, batch.labels, batch.mask))


@torch.no_grad()
def generated(lm: LM, text: str, longest: int = 12) -> str:
    """Return an encoder-decoder's greedy answer to a text."""
    asked = lm.tokenizer(text, return_tensors="pt").to(lm.device)
    ids = lm.model.generate(**asked, max_new_tokens=longest, do_sample=False, num_beams=1)
    return lm.tokenizer.decode(ids[0], skip_special_tokens=True).strip()
