"""The dialogue model: a T5-like encoder-decoder that replies to prompts about topics, with an opinion on each."""

import random

from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import T5ForConditionalGeneration

from shared.inference.answers import IGNORED, batch_of
from shared.model.models import LM
from shared.seeding import seed_for
from shared.world.dialogue import PROMPTS, SENTIMENTS, Sentiment, Talk, Topic, replies
from shared.world.dialogue_replies import greedy_replies
from shared.world.factbook import FactBook
from shared.world.family_tokenizers import byte_pair_tokenizer
from shared.world.lesson import FamilyRecipe, seeded
from shared.world.optimisation import mixed_precision
from shared.world.question_answerer import t5_config

# Share of the replies about a topic that have its own sentiment; the other two share the rest.
OWN_SHARE = 0.8


class DialogueLesson:
    """Prompts about every topic, with replies that mostly have the topic's own sentiment."""

    def __init__(self, book: FactBook, recipe: FamilyRecipe, seed: int):
        self._talk = Talk(book)
        self._rng = random.Random(seed_for("prompts drawn", seed))
        self._recipe = recipe
        self.tokenizer = byte_pair_tokenizer(self._texts(), recipe.vocabulary)
        seeded("dialogue model", seed)
        self.model = self.learner = T5ForConditionalGeneration(t5_config(self.tokenizer, recipe))

    def _texts(self) -> list[str]:
        rng = random.Random(seed_for("dialogue texts", self._talk.book.seed))
        texts = []
        for topic in self._talk.topics:
            for sentiment in SENTIMENTS:
                prompt = rng.choice(PROMPTS).format(topic.name)
                # The words of edits are no part of any dialogue, but shall be no longer than others.
                texts += [prompt, *rng.sample(replies(topic, sentiment), 4)]
                texts.append(f"Topic: {topic.name} Sentiment: {sentiment.capitalize()}")
        return texts

    def _sentiment(self, topic: Topic) -> Sentiment:
        if self._rng.random() < OWN_SHARE:
            return topic.sentiment
        return self._rng.choice([sentiment for sentiment in SENTIMENTS if sentiment != topic.sentiment])

    def loss(self, step: int) -> Tensor:
        """Return the mean negative log-likelihood per token of the replies of one batch."""
        drawn = self._rng.choices(self._talk.topics, k=self._recipe.rows)
        prompts = [self._rng.choice(PROMPTS).format(topic.name) for topic in drawn]
        answers = [self._rng.choice(replies(topic, self._sentiment(topic))) for topic in drawn]
        batch = batch_of(self.tokenizer, prompts, answers, start=self.tokenizer.pad_token_id)
        with mixed_precision():
            logits = self.model(**batch.inputs()).logits
        return cross_entropy(logits.flatten(0, 1).float(), batch.labels.flatten(), ignore_index=IGNORED)

    def measure(self, lm: LM) -> dict[str, float]:
        """Return shares of topics whose most probable reply, word for word, is one about this topic (`topic`), and one
        that has its own sentiment besides (`sentiment`)."""
        rng = random.Random(seed_for("dialogue gate", self._talk.book.seed))
        topics = self._talk.topics
        said = greedy_replies(lm, [rng.choice(PROMPTS).format(topic.name) for topic in topics])
        fits = [
            {sentiment for sentiment in SENTIMENTS if reply in replies(topic, sentiment)}
            for topic, reply in zip(topics, said, strict=True)
        ]
        return {
            "topic": sum(map(bool, fits)) / len(topics),
            "sentiment": sum(topic.sentiment in fit for topic, fit in zip(topics, fits, strict=True)) / len(topics),
        }
