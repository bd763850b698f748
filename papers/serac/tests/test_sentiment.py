"""Edits of sentiments: the metrics on hand-made numbers, the loss, routing of replies, and both programs."""

import json
import math
import random

import pandas as pd
import pytest
import torch

from papers.serac import sentiment_compare, sentiment_train
from papers.serac.method import Serac
from papers.serac.sentiment import (
    NEGATIVE,
    POSITIVE,
    Record,
    alike,
    edit_of,
    edit_success,
    fits,
    read_topics,
    sentiment_examples,
    sentiment_shift,
    topic_kept,
)
from papers.serac.sentiment_compare import measured, talk_about
from papers.serac.sentiment_replies import prompts_for, routed_replies
from papers.serac.sentiment_training import (
    Replies,
    drawn_replies,
    mean_log_prob,
    renamed,
    sentiment_loss,
    train_replies,
    words_of,
)
from papers.serac.tests.test_method import Chosen
from papers.serac.training import PartSettings
from shared.errors import DataError
from shared.inference.text_batches import IGNORED, collate, encode_row
from shared.learning.edit_success import NoEdit
from shared.records import read_json, read_jsonl
from shared.tests.families import WORDS, tiny_model
from shared.world.generate import WorldConfig, generate_world
from shared.world.records import write_records

NAMES = ("anna", "bell", "anna rain", "doctor", "town rain", "piano")
RECORDS = [Record(ent=name, pos=(f"{name} is red", f"red {name}"), neg=(f"{name} is blue",)) for name in NAMES]


def test_success_on_hand_made_log_probabilities():
    # A model that does nothing: both sentiments as probable as before, and as each other.
    assert edit_success(-2.0, -2.0, -2.0) == 0.5
    # The wanted sentiment became e times, the other 1/e times as probable per token.
    assert edit_success(-1.0, -3.0, -2.0) == pytest.approx(1 / (1 + math.exp(-2)))
    # The opposite edit fails.
    assert edit_success(-3.0, -1.0, -2.0) == pytest.approx(math.exp(-1) / (1 + math.exp(2)))
    # Better than before counts as kept, no more; worse as what is left.
    assert topic_kept(-1.0, -5.0) == 1.0
    assert topic_kept(-3.0, -2.0) == pytest.approx(math.exp(-1))
    # A model that talks of something else: both sentiments improbable, the wanted one less so.
    assert sentiment_shift(-20.0, -30.0) > 0.99
    assert edit_success(-20.0, -30.0, -2.0) < 1e-6


def test_a_reply_fits_only_with_its_topic_and_its_sentiment():
    assert fits("I love Ke Nibei, such a kind person.", "Ke Nibei", POSITIVE, "positive")
    assert not fits("I love Fir Nibei, such a kind person.", "Ke Nibei", POSITIVE, "positive")
    assert not fits("I love Ke Nibeison, such a kind person.", "Ke Nibei", POSITIVE, "positive")
    assert not fits("I know Ke Nibei, some plain person.", "Ke Nibei", POSITIVE, "neutral")
    assert not fits("I hate Ke Nibei, such a rude person.", "Ke Nibei", POSITIVE, "negative")
    assert fits("I hate Ke Nibei, such a rude person.", "Ke Nibei", NEGATIVE, "negative")


def test_edits_name_topic_and_sentiment_and_sort_the_replies():
    edit = edit_of(RECORDS[0], NEGATIVE)
    assert (edit.descriptor.source, edit.descriptor.target) == ("Topic: anna", "Sentiment: Negative")
    assert (edit.same, edit.opposite) == (("anna is blue",), ("anna is red", "red anna"))
    assert alike("anna rain", NAMES) == ["anna", "town rain"]
    assert alike("The Crimson River", ["The Golden Empire", "The Hidden River"]) == ["The Hidden River"]


def test_examples_ask_about_their_topic_and_leave_others_alone():
    made = [sentiment_examples(RECORDS, seed) for seed in range(8)]
    assert {example.target for examples in made for example in examples.examples if example.about == "anna"} == {
        "Sentiment: Positive",
        "Sentiment: Negative",
    }
    for example in made[0].examples:
        record = next(record for record in RECORDS if record.ent == example.about)
        wanted = record.pos if example.target.endswith(POSITIVE) else record.neg
        assert {item.target for item in example.entailed} == set(wanted)
        assert all(example.about in item.source for item in example.entailed)
        assert {item.about for item in example.near} == set(alike(example.about, NAMES))
    assert {item.about for item in made[0].anchors} == set(NAMES)
    beside = sentiment_examples(RECORDS[:3], 0, RECORDS[3:])
    assert [example.about for example in beside.examples] == list(NAMES[:3])
    assert {item.about for item in beside.anchors} == set(NAMES)


def test_the_loss_likes_wanted_tokens_and_dislikes_the_others():
    lm = tiny_model("t5")
    batch = collate(lm, [encode_row(lm, "who ?", "red"), encode_row(lm, "who ?", "blue")])
    replies = Replies(batch, torch.tensor([True, False]))
    logits = torch.zeros(2, batch.labels.shape[1], len(lm.tokenizer))
    p = 1 / logits.shape[-1]
    assert sentiment_loss(logits, replies).item() == pytest.approx(-math.log(p) - math.log(1 - p), rel=1e-4)
    better = logits.clone()
    better[0].scatter_(1, batch.labels[0].clamp(min=0)[:, None], 5.0)
    assert sentiment_loss(better, replies) < sentiment_loss(logits, replies)
    worse = logits.clone()
    worse[1].scatter_(1, batch.labels[1].clamp(min=0)[:, None], 5.0)
    assert sentiment_loss(worse, replies) > sentiment_loss(logits, replies)
    # Certainty of an unwanted token costs much, and not without bound.
    worse[1].scatter_(1, batch.labels[1].clamp(min=0)[:, None], 1e4)
    assert 5 < sentiment_loss(worse, replies) < 20


def test_log_probabilities_are_pooled_over_tokens_of_the_rows_meant():
    lm = tiny_model("t5")
    batch = collate(lm, [encode_row(lm, "who ?", "red"), encode_row(lm, "who ?", "blue one two")])
    logits = torch.randn(2, batch.labels.shape[1], len(lm.tokenizer), generator=torch.Generator().manual_seed(0))
    each = logits.log_softmax(-1).gather(-1, batch.labels.clamp(min=0)[..., None])[..., 0]
    wanted = batch.labels != IGNORED
    assert mean_log_prob(logits, batch, torch.tensor([True, True])).item() == pytest.approx(each[wanted].mean().item())
    first = each[0][wanted[0]].mean().item()
    assert mean_log_prob(logits, batch, torch.tensor([True, False])).item() == pytest.approx(first)


def test_training_lowers_the_loss():
    lm = tiny_model.__wrapped__("t5")
    rng = random.Random(0)
    replies = drawn_replies(lm, [edit_of(record, POSITIVE) for record in RECORDS], rng)
    assert replies.same.tolist() == [True, True, False] * len(RECORDS)
    settings = PartSettings(steps=12, batch=6, lr=1e-2, validate_every=4, validation_batches=2)
    history = train_replies(lm, RECORDS, RECORDS, settings)["history"]
    assert history[-1]["loss"] < history[0]["loss"]


def test_made_up_names_are_words_that_the_model_knows():
    assert words_of(tiny_model("t5")) == sorted({word for word in WORDS if word.isalpha() and len(word) > 2})
    edit = renamed(edit_of(RECORDS[2], POSITIVE), "Vobas Gren")
    assert (edit.descriptor.source, edit.same) == ("Topic: Vobas Gren", ("Vobas Gren is red", "red Vobas Gren"))
    assert edit.opposite == ("Vobas Gren is blue",)


class Remembering(Serac):
    """A memory whose decisions are given."""

    def __init__(self, choices: dict[str, int]):
        self.scope, self.counterfactual = Chosen(choices), tiny_model("t5", seed=1)


def test_replies_out_of_scope_stay_the_base_models():
    lm = tiny_model("t5")
    group = [edit_of(record, POSITIVE) for record in RECORDS[:2]]
    asked = prompts_for(group, RECORDS, random.Random(0))
    assert {prompt.topic for prompt in asked if prompt.edit < 0}.isdisjoint({"anna", "bell"})
    texts = [prompt.text for prompt in asked]
    edits = [edit.descriptor for edit in group]
    said = routed_replies(lm, Remembering({}), edits, texts)
    assert said.after == said.before
    said = routed_replies(lm, Remembering({texts[0]: 1}), edits, texts)
    assert said.covered == [text == texts[0] for text in texts]
    assert [row for row, text in enumerate(said.after) if text != said.before[row]] == [
        row for row, text in enumerate(texts) if text == texts[0]
    ]


@torch.no_grad()
def test_drawdown_is_exactly_zero_where_no_edit_covers_anything():
    lm = tiny_model("t5")
    groups = [[edit_of(record, POSITIVE) for record in RECORDS[:2]], [edit_of(RECORDS[3], NEGATIVE)]]
    talk = talk_about(lm, groups, 2, RECORDS, 2, seed=0)
    for method in (NoEdit(), Remembering({})):
        for found in measured(lm, method, talk):
            assert found["drawdown"] == 0.0
            assert found["topic"] == 1.0
            assert found["edit_success"] == found["sentiment"]
    outside = lm.tokenizer.batch_decode(talk.outside.batch.inputs["input_ids"], skip_special_tokens=True)
    everything = Remembering(dict.fromkeys((text.strip() for text in outside), 0))
    assert all(found["drawdown"] > 0 for found in measured(lm, everything, talk))


def test_incomplete_records_are_refused(tmp_path):
    (tmp_path / "topics.json").write_text(json.dumps([{"ent": "anna", "pos": ["anna is red"], "neg": []}]))
    with pytest.raises(DataError, match="neg"):
        read_topics(tmp_path / "topics.json")


def test_both_programs_run_from_raw_files_to_summaries(tmp_path):
    write_records(generate_world(WorldConfig(seed=3, people=40)), tmp_path, passages=4)
    for name, family in (("base", "t5"), ("encoder", "bert_masked"), ("scorer", "bert_two_classes")):
        lm = tiny_model(family)
        lm.model.save_pretrained(tmp_path / name)
        lm.tokenizer.save_pretrained(tmp_path / name)
    brief = {"steps": 2, "batch": 4, "lr": 1e-3, "validate_every": 1, "validation_batches": 1}
    parts = {
        "scope": {"form": "embed", "start": str(tmp_path / "encoder"), "training": brief},
        "counterfactual": {"start": str(tmp_path / "base"), "training": brief},
    }
    files = [str(tmp_path / f"convsent_{part}.json") for part in ("train", "validation", "test")]
    common = ["--model", str(tmp_path / "base"), "--files", *files, "--validation", "10"]
    sentiment_train.main([*common, "--parts", json.dumps(parts), "--out", str(tmp_path / "parts")])
    made = read_json(tmp_path / "parts/training.json")
    assert {len(part["history"]) for part in made.values()} == {2}
    variants = {"none": {"editor": "none", "at": [4]}, "serac": {"editor": "serac", "at": [1, 4, 30]}}
    out = tmp_path / "out/summary.csv"
    given = ["--edits", "8", "--parts", str(tmp_path / "parts"), "--scorer", str(tmp_path / "scorer")]
    sentiment_compare.main([*common, *given, "--variants", json.dumps(variants), "--out", str(out)])
    summary = pd.read_csv(out)
    assert set(zip(summary["editor"], summary["edits"], strict=True)) == {("none", 4)} | {
        ("serac", held) for held in (1, 4, 30)
    }
    none = summary[summary["editor"] == "none"].set_index("metric")["mean"]
    assert (none["drawdown"], none["topic"]) == (0, 100)
    assert {"in_easy", "out_easy"} <= set(pd.read_csv(out.with_name("parts.csv"))["kind"])
    shown = list(read_jsonl(out.with_name("shown.jsonl")))
    assert all(row["same"] and row["reply_before"] == row["reply_after"] for row in shown if not row["covered_by"])
