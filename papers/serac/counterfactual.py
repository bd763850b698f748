"""The counterfactual model h(z, x): it answers an input as if an edit were true (§3.1 of the paper).

It is small, of the base model's family and with its tokenizer, so that its predictions can take the place of the base
model's: an encoder-decoder or a classifier that reads the edit before the input.
"""

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from papers.serac.descriptor import Descriptor
from papers.serac.texts import counterfactual_text, questions_of
from shared.errors import ConfigError, ModelError
from shared.models import LM, load_model
from shared.text_batches import CLASSIFIER, SEQ2SEQ, TextBatch, TextRow, collate, encode_row, family_of, predictions
from shared.verdicts import SUPPORTS

KINDS = (SEQ2SEQ, CLASSIFIER)


def load_counterfactual(folder: str | Path, base: LM) -> LM:
    """Return a counterfactual model for a base model.

    Raises:
        ModelError: the base model is a decoder, or the two models' words differ.
    """
    family = family_of(base.model)
    if family not in KINDS:
        raise ModelError(f"{base.name} is a {family}; counterfactual models exist for {' and '.join(KINDS)}s")
    model = load_model(folder, kind=family, device=base.device)
    if model.tokenizer.get_vocab() != base.tokenizer.get_vocab():
        raise ModelError(
            f"{folder} has other words than {base.name}: an edit's answer could not be read in the base model's place; "
            "start the counterfactual model from one of the base model's family"
        )
    return model


def fresh_counterfactual(base: LM, sizes: Mapping[str, int]) -> LM:
    """Return an untrained model of the base model's class and words, with other sizes; torch's seed decides on weights.

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
    return LM(type(base.model)(config).to(base.device), base.tokenizer, f"a small {base.name}")


def counterfactual_row(lm: LM, edit: Descriptor, question: str, answer: str) -> TextRow:
    """Return the row that teaches the answer to a question under an edit."""
    return encode_row(lm, counterfactual_text(edit, question), answer)


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
