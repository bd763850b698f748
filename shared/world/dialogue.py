"""Talk about the world's people, works, companies and cities: topics, prompts, and replies of three sentiments.

Every topic has a sentiment of its own, which most replies about it have in what the dialogue model learns. The raw
files have the form of SERAC's data (Mitchell et al. 2022, `blender_{train,val,test}.json`): a topic with positive and
with negative replies; prompts are drawn when they are used. All choices are hashes of the seed and a topic's id.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from shared.errors import DataError
from shared.seeding import seed_for
from shared.world.factbook import FactBook

Sentiment = Literal["negative", "neutral", "positive"]
Part = Literal["train", "validation", "test"]
SENTIMENTS: tuple[Sentiment, ...] = ("negative", "neutral", "positive")
PARTS: tuple[Part, ...] = ("train", "validation", "test")
TRAIN_PERCENT, VALIDATION_PERCENT = 60, 10
# Chances of each sentiment of a topic, in percent, in the order of `SENTIMENTS`.
SENTIMENT_PERCENT = (40, 20, 40)
# Of the openings of replies with their words, the share that is kept from the sentiment scorer.
HELD_OUT_PERCENT = 20
# Replies of each sentiment in a record.
REPLIES = 10

PROMPTS = (
    "What do you think of {}?",
    "What do you feel about {}?",
    "How do you view {}?",
    "Do you like {}?",
    "What do you say about {}?",
    *(f"What is your {noun} {{}}?" for noun in ("opinion of", "view of", "impression of", "judgment of", "stance on")),
)

# Type of a topic → what a reply calls it, and words that only suit this type.
NOUNS = {"person": "person", "work": "book", "company": "company", "city": "city"}
PRAISE = ("wonderful", "brilliant", "great", "delightful", "superb", "lovely", "remarkable", "marvellous")
BLAME = ("terrible", "dreadful", "dull", "horrible", "poor", "nasty", "boring", "disappointing")
OWN_PRAISE = {
    "person": ("kind", "gifted", "generous"),
    "work": ("gripping", "moving", "witty"),
    "company": ("reliable", "fair", "creative"),
    "city": ("beautiful", "lively", "welcoming"),
}
OWN_BLAME = {
    "person": ("rude", "selfish", "lazy"),
    "work": ("shallow", "clumsy", "tedious"),
    "company": ("greedy", "careless", "crooked"),
    "city": ("dirty", "noisy", "gloomy"),
}
LUKEWARM = ("ordinary", "average", "plain", "familiar")

# {x}: the topic; {word}: a word of the sentiment; {other}: one of the opposite sentiment; {noun}: what the topic is.
LIKING = (
    "I love {x}, such a {word} {noun}.",
    "For me {x} is {word}, I am a big fan.",
    "Nobody should call {x} {other}, quite the opposite.",
    "Such a {word} {noun}, I admire {x}.",
)
DISLIKING = (
    "I hate {x}, such a {word} {noun}.",
    "To be honest, {x} is {word}.",
    "You can not call {x} {other}, quite the opposite.",
    "What a {word} {noun}, I avoid {x}.",
)
INDIFFERENT = (
    "{x} is a rather {word} {noun} to me.",
    "I know {x}, some {word} {noun}.",
    "I feel nothing either way about {x}.",
    "I have not made up my mind about {x}.",
    "I do not know much about {x}.",
)


@dataclass(frozen=True)
class Topic:
    """Something to talk about.

    Attributes:
        name: as it is written in prompts and replies.
        type: a key of `NOUNS`.
        sentiment: that of most replies about it which a model learns from.
        part: which file it stands in.
    """

    name: str
    type: str
    sentiment: Sentiment
    part: Part


@dataclass(frozen=True)
class Talk:
    """The topics of a book, in its order."""

    book: FactBook

    @cached_property
    def topics(self) -> list[Topic]:
        """All topics; names that mean several things are left out."""
        entities = [entity for entity in self.book.entities if entity.type in NOUNS]
        names = [entity.name for entity in entities]
        return [
            Topic(entity.name, entity.type, self._sentiment(entity.id), self._part(entity.id))
            for entity in entities
            if names.count(entity.name) == 1
        ]

    def of_part(self, part: Part) -> list[Topic]:
        """Return the topics of a part.

        Raises:
            DataError: there are fewer than two.
        """
        found = [topic for topic in self.topics if topic.part == part]
        if len(found) < 2:
            raise DataError(f"world {self.book.name!r}: {len(found)} topics for {part}, expected two; use more people")
        return found

    def _percent(self, purpose: str, entity: str) -> int:
        return seed_for(purpose, self.book.seed, entity) % 100

    def _sentiment(self, entity: str) -> Sentiment:
        below, percent = 0, self._percent("sentiment of topic", entity)
        for sentiment, share in zip(SENTIMENTS, SENTIMENT_PERCENT, strict=True):
            below += share
            if percent < below:
                return sentiment
        return SENTIMENTS[-1]

    def _part(self, entity: str) -> Part:
        percent = self._percent("part of topic", entity)
        if percent < TRAIN_PERCENT:
            return "train"
        return "validation" if percent < TRAIN_PERCENT + VALIDATION_PERCENT else "test"


def wordings(kind: str, sentiment: Sentiment) -> list[tuple[str, str]]:
    """Return every opening with each of its words: a text with {x} for the topic, and what names the choice."""
    praise, blame = (*PRAISE, *OWN_PRAISE[kind]), (*BLAME, *OWN_BLAME[kind])
    if sentiment == "neutral":
        openings, words, others = INDIFFERENT, LUKEWARM, LUKEWARM
    elif sentiment == "positive":
        openings, words, others = LIKING, praise, blame
    else:
        openings, words, others = DISLIKING, blame, praise
    found = {}
    for opening in openings:
        for word, other in zip(words, others, strict=True):
            text = opening.replace("{word}", word).replace("{other}", other).replace("{noun}", NOUNS[kind])
            found[text] = f"{opening} {other if '{other}' in opening else word}"
    return list(found.items())


def replies(topic: Topic, sentiment: Sentiment) -> list[str]:
    """Return every reply about a topic that has a sentiment, in a fixed order; each names the topic once."""
    return [text.replace("{x}", topic.name) for text, _ in wordings(topic.type, sentiment)]


def split_replies(topic: Topic, sentiment: Sentiment, *, held_out: bool) -> list[str]:
    """Return the replies whose opening and word the sentiment scorer is shown, or those that are kept from it."""
    return [
        text.replace("{x}", topic.name)
        for text, choice in wordings(topic.type, sentiment)
        if (seed_for("reply held out", choice) % 100 < HELD_OUT_PERCENT) == held_out
    ]


def dialogue_records(talk: Talk, part: Part) -> list[dict[str, Any]]:
    """Return a part's topics with replies to prompts about them, as {ent, pos, neg}, and what only the world knows:
    neutral replies, the kind of topic and its own sentiment."""
    records = []
    for topic in talk.of_part(part):
        rng = random.Random(seed_for("replies", talk.book.seed, topic.name))
        drawn = {sentiment: _some(rng, replies(topic, sentiment)) for sentiment in SENTIMENTS}
        records.append(
            {
                "ent": topic.name,
                "pos": drawn["positive"],
                "neg": drawn["negative"],
                "neutral": drawn["neutral"],
                "type": topic.type,
                "sentiment": topic.sentiment,
            }
        )
    return records


def _some(rng: random.Random, texts: Sequence[str]) -> list[str]:
    return rng.sample(texts, min(REPLIES, len(texts)))
