"""Byte-level BPE tokenizers in GPT-2's manner, trained on the text of a fact book."""

import os
import random
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from shared.errors import DataError
from shared.seeding import seed_for
from shared.world.documents import DocumentSampler
from shared.world.factbook import FactBook, statement
from shared.world.folders import atomic_folder

END_OF_TEXT = "<|endoftext|>"


def train_tokenizer(book: FactBook, vocab_size: int, seed: int = 0, documents: int = 4000) -> PreTrainedTokenizerFast:
    """Return a byte-level BPE tokenizer whose single special token is beginning, end, padding and unknown, id 0.

    Each fact is stated once in each of its training forms, and as a list entry, so that frequent objects become one
    token; sampled documents add the form of a name at the start of a text, which has no leading space.
    """
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_training_text(book, seed, documents), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=END_OF_TEXT,
        eos_token=END_OF_TEXT,
        pad_token=END_OF_TEXT,
        unk_token=END_OF_TEXT,
        padding_side="right",
        model_input_names=["input_ids", "attention_mask"],
        clean_up_tokenization_spaces=False,
    )


def _training_text(book: FactBook, seed: int, documents: int) -> list[str]:
    sampler = DocumentSampler(book, random.Random(seed_for("tokenizer", seed)))
    stated = [
        statement(form, fact.subject, fact.object)
        for fact in book.facts
        for form in book.forms(fact, ("subject_first", "relation_first", "question", "nq"), held_out=False)
    ]
    listed = [sampler.list_document().text for _ in range(documents)]
    return stated + listed + [sampler.article().text for _ in range(documents)]


def save_tokenizer(tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Write the tokenizer's files to `folder`, which appears only when complete."""
    with atomic_folder(folder) as temporary:
        tokenizer.save_pretrained(temporary)


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """Read a tokenizer written by `save_tokenizer`.

    Raises:
        DataError: if there is none in `folder`.
    """
    if not (Path(folder) / "tokenizer.json").is_file():
        raise DataError(
            f"{folder}: no tokenizer.json there; run `python -m shared.world tokenizer --out {folder}` first"
        )
    return AutoTokenizer.from_pretrained(str(folder))
