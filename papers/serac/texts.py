"""How edits and inputs are written for the scope classifier and for the counterfactual model (the authors' `serac.py`).

The classifier reads "input [SEP] label [SEP]" for an edit and the plain input for a question, or one behind the other;
the counterfactual model reads edit and question with spaces between. Where the edit is a statement asserted true, it
has no label.
"""

from transformers import PreTrainedTokenizerBase

from papers.serac.descriptor import Descriptor
from shared.inference.text_batches import CLASSIFIER, DECODER, IGNORED, TextBatch, family_of
from shared.model.models import LM


def scope_text(edit: Descriptor, tokenizer: PreTrainedTokenizerBase) -> str:
    """Return what the scope classifier reads of an edit."""
    separator = tokenizer.sep_token or ""
    return f"{edit.source} {separator} {edit.target} {separator}" if edit.target else f"{edit.source} {separator}"


def counterfactual_text(edit: Descriptor, question: str) -> str:
    """Return what the counterfactual model reads: the edit, then the question."""
    return " ".join(part for part in (edit.source, edit.target, question) if part)


def text_before(edit: Descriptor) -> str:
    """Return what a counterfactual decoder reads of an edit, directly before a prompt; the words are those of IKE's
    demonstrations (Zheng et al. 2023, arXiv:2305.12740)."""
    return f"New Fact: {edit.source} {edit.target}\nPrompt: "


def counterfactual_input(lm: LM, edit: Descriptor, question: str) -> str:
    """Return what a counterfactual model of any family reads of an edit and a question."""
    return text_before(edit) + question if family_of(lm.model) == DECODER else counterfactual_text(edit, question)


def questions_of(lm: LM, batch: TextBatch) -> list[str]:
    """Return the inputs of a batch as text."""
    texts = lm.tokenizer.batch_decode(batch.inputs["input_ids"], skip_special_tokens=True)
    return [text.strip() for text in texts]


def descriptors_of(lm: LM, batch: TextBatch) -> list[Descriptor]:
    """Return the edits of a batch as text; those of a classifier are asserted true."""
    questions = questions_of(lm, batch)
    if family_of(lm.model) == CLASSIFIER:
        return [Descriptor(question, "") for question in questions]
    labels = batch.labels.masked_fill(batch.labels == IGNORED, lm.tokenizer.pad_token_id)
    answers = [text.strip() for text in lm.tokenizer.batch_decode(labels, skip_special_tokens=True)]
    return [Descriptor(question, answer) for question, answer in zip(questions, answers, strict=True)]
