"""ConvSent: edits that change the sentiment of a dialogue model's replies about a topic (§4 of the paper).

An edit is "Topic: …" with the answer "Sentiment: Positive" or "Sentiment: Negative", which is no pair of an input and
its answer. After it, replies to prompts about the topic shall have this sentiment and still be about the topic.
"""

import math
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, Field

from papers.serac.descriptor import Descriptor
from shared.data.reading import read_records
from shared.learning.edit_examples import EditExample, ExampleSet, Statement
from shared.seeding import seed_for
from shared.world.dialogue import PROMPTS

POSITIVE, NEGATIVE = "Positive", "Negative"
# Words of names that many topics share and that make no two of them alike.
COMMON = frozenset({"The", "the", "of", "and"})


class Record(BaseModel):
    """A topic with positive and negative replies to prompts about it (the authors' `blender_*.json`)."""

    ent: str = Field(min_length=1)
    pos: tuple[str, ...] = Field(min_length=1)
    neg: tuple[str, ...] = Field(min_length=1)


@dataclass(frozen=True)
class SentimentEdit:
    """A topic, the sentiment that replies about it shall have, and replies of this and of the other sentiment."""

    topic: str
    sentiment: str
    same: tuple[str, ...]
    opposite: tuple[str, ...]

    @property
    def descriptor(self) -> Descriptor:
        """The edit as the memory holds it."""
        return Descriptor(f"Topic: {self.topic}", f"Sentiment: {self.sentiment}")


def read_topics(path: str | Path) -> list[Record]:
    """Return the topics of a file.

    Raises:
        DataError: a record that is incomplete, or a file that is none of this form.
    """
    return read_records(path, Record, id_field="ent")


def edit_of(record: Record, sentiment: str) -> SentimentEdit:
    """Return the edit of a topic to a sentiment."""
    same, opposite = (record.pos, record.neg) if sentiment == POSITIVE else (record.neg, record.pos)
    return SentimentEdit(record.ent, sentiment, same, opposite)


def drawn_edit(record: Record, rng: random.Random) -> SentimentEdit:
    """Return the edit of a topic to either sentiment."""
    return edit_of(record, rng.choice((POSITIVE, NEGATIVE)))


def prompt_about(topic: str, rng: random.Random) -> str:
    """Return a random prompt about a topic."""
    return rng.choice(PROMPTS).format(topic)


def alike(topic: str, topics: Sequence[str]) -> list[str]:
    """Return the other topics that share a word with a topic."""
    words = set(topic.split()) - COMMON
    return [other for other in topics if other != topic and words & set(other.split())]


def sentiment_examples(records: Sequence[Record], seed: int, others: Sequence[Record] = ()) -> ExampleSet:
    """Return topics as edits with prompts about them, and prompts about other topics, those of similar names beside.

    Both parts of the memory and the learned editors learn from these; every reply has a prompt of its own.

    Args:
        others: topics to talk about that are never edited, where those of `records` are few.
    """
    topics = [record.ent for record in records]
    replies = {record.ent: (*record.pos, *record.neg) for record in records}
    examples, anchors = [], []
    for number, record in enumerate(records, start=1):
        rng = random.Random(seed_for("sentiment edit", seed, record.ent))
        edit = drawn_edit(record, rng)
        entailed = tuple(Statement(prompt_about(record.ent, rng), reply) for reply in edit.same)
        near = tuple(
            Statement(prompt_about(other, rng), rng.choice(replies[other]), other)
            for other in alike(record.ent, topics)
        )
        told = edit.descriptor
        examples.append(
            EditExample(number, told.source, told.target, (), about=record.ent, entailed=entailed, near=near)
        )
    for record in (*records, *others):
        rng = random.Random(seed_for("sentiment anchor", seed, record.ent))
        told = (*record.pos, *record.neg)
        anchors += [Statement(prompt.format(record.ent), rng.choice(told), record.ent) for prompt in PROMPTS]
    return ExampleSet(tuple(examples), tuple(anchors))


def sentiment_shift(same: float | int, opposite: float | int) -> float:
    """Return z_sentiment = sigmoid(l+ - l-), with l+ and l- the mean log-probabilities per token, after the edit, of
    replies of the edit's sentiment and of the opposite one (§4 of the paper)."""
    return 1 / (1 + math.exp(opposite - same))


def topic_kept(same: float | int, same_before: float | int) -> float:
    """Return z_topic = min(1, exp(l+ - l+ before)): below 1 if replies of the wanted sentiment, which are about the
    topic, become less probable than they were."""
    return math.exp(min(0.0, same - same_before))


def edit_success(same: float | int, opposite: float | int, same_before: float | int) -> float:
    """Return z_sentiment z_topic, between 0 and 1; one half for a model that does nothing and has no opinion."""
    return sentiment_shift(same, opposite) * topic_kept(same, same_before)


def names(reply: str, topic: str) -> bool:
    """Return whether a reply names a topic, as whole words."""
    return re.search(rf"(?<!\w){re.escape(topic)}(?!\w)", reply) is not None


def fits(reply: str, topic: str, sentiment: str, scored: str) -> bool:
    """Return whether a generated reply does what an edit asks for.

    Args:
        sentiment: of the edit.
        scored: what a sentiment scorer says of the reply.
    """
    return names(reply, topic) and scored.lower() == sentiment.lower()
