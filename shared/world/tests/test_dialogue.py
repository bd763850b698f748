"""Talk about topics: what a seed decides, which replies have which sentiment, and what each part is shown."""

import json

import pytest

from shared.errors import DataError
from shared.tests.families import tiny_model
from shared.world.dialogue import NOUNS, PARTS, PROMPTS, SENTIMENTS, Talk, dialogue_records, replies, split_replies
from shared.world.dialogue_replies import greedy_replies
from shared.world.factbook import FactBook
from shared.world.families import FAMILIES, family_recipe
from shared.world.generate import WorldConfig, generate_world
from shared.world.sentiment import sentiments_of


@pytest.fixture(scope="module")
def talk() -> Talk:
    return Talk(generate_world(WorldConfig(seed=3, people=60)))


def test_same_world_gives_the_same_records_and_another_does_not(talk: Talk) -> None:
    again = Talk(FactBook.model_validate_json(talk.book.model_dump_json()))
    other = Talk(generate_world(WorldConfig(seed=4, people=60)))
    for part in PARTS:
        made = json.dumps(dialogue_records(talk, part))
        assert json.dumps(dialogue_records(again, part)) == made
        assert json.dumps(dialogue_records(other, part)) != made


def test_every_topic_stands_in_one_part(talk: Talk) -> None:
    named = {part: {record["ent"] for record in dialogue_records(talk, part)} for part in PARTS}
    assert sum(map(len, named.values())) == len(set().union(*named.values())) == len(talk.topics)
    assert {topic.type for topic in talk.topics} == set(NOUNS)
    assert len(named["train"]) > len(named["test"]) > len(named["validation"]) > 2
    assert {topic.sentiment for topic in talk.of_part("train")} == set(SENTIMENTS)


def test_replies_name_their_topic_once_and_have_one_sentiment(talk: Talk) -> None:
    for topic in talk.topics[::7]:
        by_sentiment = {sentiment: replies(topic, sentiment) for sentiment in SENTIMENTS}
        told = [reply for texts in by_sentiment.values() for reply in texts]
        assert len(told) == len(set(told))
        assert all(reply.count(topic.name) == 1 and "{" not in reply for reply in told)
        for sentiment, texts in by_sentiment.items():
            kept, shown = (split_replies(topic, sentiment, held_out=own) for own in (True, False))
            assert sorted(kept + shown) == sorted(texts)
            assert kept
            assert len(shown) > len(kept)


def test_records_hold_replies_of_the_sentiment_that_they_name(talk: Talk) -> None:
    topics = {topic.name: topic for topic in talk.topics}
    for record in dialogue_records(talk, "test"):
        topic = topics[record["ent"]]
        for key, sentiment in (("pos", "positive"), ("neg", "negative"), ("neutral", "neutral")):
            assert len(record[key]) == len(set(record[key])) == 10
            assert set(record[key]) <= set(replies(topic, sentiment))
        assert (record["type"], record["sentiment"]) == (topic.type, topic.sentiment)


def test_a_world_without_topics_is_refused(talk: Talk) -> None:
    with pytest.raises(DataError, match="0 topics for train"):
        Talk(talk.book.model_copy(update={"entities": []})).of_part("train")


def test_the_scorer_is_not_shown_what_its_gate_asks(talk: Talk) -> None:
    lesson = FAMILIES["sentiment"].lesson(talk.book, family_recipe("sentiment", "tiny"), 0)
    asked: list[str] = []
    tokenizer = lesson.tokenizer

    def listening(texts, **options):
        asked.extend(texts)
        return tokenizer(texts, **options)

    lesson.tokenizer = listening
    for step in range(5):
        lesson.loss(step)
    kept = {
        reply
        for topic in talk.topics
        for sentiment in SENTIMENTS
        for reply in split_replies(topic, sentiment, held_out=topic.part == "train")
        if topic.part != "validation"
    }
    held_out_topics = {topic.name for topic in talk.of_part("test")}
    assert len(asked) > 100
    assert not set(asked) & kept
    assert not [text for text in asked if any(f"{name}," in text for name in held_out_topics)]


def test_replies_and_sentiments_keep_the_order_of_their_texts() -> None:
    lm = tiny_model("t5")
    prompts = [prompt.format("anna bell") for prompt in PROMPTS]
    assert greedy_replies(lm, prompts)[3:5] == greedy_replies(lm, prompts[3:5])
    assert greedy_replies(lm, []) == []
    scorer = tiny_model("bert_two_classes")
    texts = ["anna is red", "one", "who plays the piano in town of rain ?", "blue"]
    assert sentiments_of(scorer, texts) == [sentiments_of(scorer, [text])[0] for text in texts]
    assert sentiments_of(scorer, []) == []
