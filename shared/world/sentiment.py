"""The sentiment scorer: a BERT-like classifier of replies as negative, neutral or positive.

It is shown the training topics only, and not every word behind every opening of a reply; its gate asks about the rest.
Some replies deny a word of the opposite sentiment: words of praise and blame alone do not decide.
"""

import random
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import BertForSequenceClassification

from shared.model.forward import token_batches
from shared.model.models import LM
from shared.seeding import seed_for
from shared.world.dialogue import SENTIMENTS, Sentiment, Talk, Topic, replies, split_replies
from shared.world.factbook import FactBook
from shared.world.family_tokenizers import word_tokenizer
from shared.world.lesson import FamilyRecipe, seeded
from shared.world.masked_encoder import encoder_config, spread_words
from shared.world.optimisation import mixed_precision

EXAMINED = 1500
MAX_TOKENS = 8192


class SentimentLesson:
    """Replies about the training topics, each sentiment as often."""

    def __init__(self, book: FactBook, recipe: FamilyRecipe, seed: int):
        self._talk = Talk(book)
        self._rng = random.Random(seed_for("replies drawn", seed))
        self._recipe = recipe
        told = [text for topic in self._talk.topics for sentiment in SENTIMENTS for text in replies(topic, sentiment)]
        self.tokenizer = word_tokenizer(told)
        seeded("sentiment scorer", seed)
        config = encoder_config(self.tokenizer, recipe, labels=len(SENTIMENTS))
        config.id2label = dict(enumerate(SENTIMENTS))
        config.label2id = {sentiment: index for index, sentiment in enumerate(SENTIMENTS)}
        self.model = self.learner = BertForSequenceClassification(config)
        spread_words(self.model)
        self._shown = self._talk.of_part("train")

    def loss(self, step: int) -> Tensor:
        """Return the cross-entropy of one batch of replies."""
        topics = self._rng.choices(self._shown, k=self._recipe.rows)
        labels = [self._rng.randrange(len(SENTIMENTS)) for _ in topics]
        texts = [
            self._rng.choice(split_replies(topic, SENTIMENTS[label], held_out=False))
            for topic, label in zip(topics, labels, strict=True)
        ]
        batch = self.tokenizer(texts, padding=True, return_tensors="pt")
        with mixed_precision():
            logits = self.model(**batch).logits
        return cross_entropy(logits.float(), torch.tensor(labels))

    def measure(self, lm: LM) -> dict[str, float]:
        """Return shares of right sentiments: of replies like those that were `shown`, and of `held_out` ones: about
        topics of the test, with words behind openings where they were never shown."""
        shown = [(topic, False) for topic in self._shown]
        held_out = [(topic, True) for topic in self._talk.of_part("test")]
        return {"shown": self._right(lm, shown), "held_out": self._right(lm, held_out)}

    def _right(self, lm: LM, asked: Sequence[tuple[Topic, bool]]) -> float:
        rng = random.Random(seed_for("sentiment gate", self._talk.book.seed))
        pairs = [
            (text, sentiment)
            for topic, held_out in asked
            for sentiment in SENTIMENTS
            for text in split_replies(topic, sentiment, held_out=held_out)
        ]
        chosen = rng.sample(pairs, min(EXAMINED, len(pairs)))
        found = sentiments_of(lm, [text for text, _ in chosen])
        return sum(guess == sentiment for guess, (_, sentiment) in zip(found, chosen, strict=True)) / len(chosen)


@torch.no_grad()
def sentiments_of(lm: LM, texts: Sequence[str]) -> list[Sentiment]:
    """Return the sentiment that a scorer finds most probable for each text, as far as it can read: 64 words here.

    Cost: one forward pass over all texts.
    """
    found: list[Sentiment] = ["neutral"] * len(texts)
    cut = {"truncation": True, "max_length": lm.model.config.max_position_embeddings}
    lengths = [len(ids) for ids in lm.tokenizer(list(texts), **cut)["input_ids"]] if texts else []
    for rows in token_batches(lengths, MAX_TOKENS):
        batch = lm.tokenizer([texts[row] for row in rows], padding=True, return_tensors="pt", **cut).to(lm.device)
        for row, label in zip(rows, lm.model(**batch).logits.argmax(-1).tolist(), strict=True):
            found[row] = SENTIMENTS[label]
    return found
