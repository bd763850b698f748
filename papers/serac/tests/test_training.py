"""Lessons, losses, and both trainings; the comparison from end to end on random models."""

import json
import math
import random

import pandas as pd
import pytest
import torch

from papers.serac import compare, train
from papers.serac.compare import held_together, summarised
from papers.serac.counterfactual import counterfactual_row
from papers.serac.descriptor import Descriptor
from papers.serac.lessons import Lesson, Teacher, kinds_of, with_answer
from papers.serac.scope import CrossScope, EmbeddingScope
from papers.serac.texts import counterfactual_input
from papers.serac.training import (
    PartSettings,
    best_boundary,
    scope_accuracy,
    scope_loss,
    train_counterfactual,
    train_scope,
)
from shared.errors import ConfigError, DataError
from shared.inference.greedy import continue_greedily
from shared.learning.edit_examples import EditExample, ExampleSet, Statement
from shared.model.tokens import encode, target_ids
from shared.records import read_json, read_jsonl
from shared.tests.families import WORDS, tiny_model
from shared.tests.tiny import tiny_lm
from shared.world.generate import WorldConfig, generate_world
from shared.world.records import write_records

NAMES = WORDS[:12]


def examples(count: int = 12) -> ExampleSet:
    """Return edits "who is <name> ?" whose answers lie in the names' order."""
    made = tuple(
        EditExample(
            number,
            f"who is {name} ?",
            NAMES[number - 1],
            (f"who is {name} ?", f"{name} works as"),
            about=name,
            entailed=(Statement(f"is {name} red ?", "True"),),
            near=(Statement(f"who plays {name} ?", "x", f"{name} plays"),),
        )
        for number, name in enumerate(NAMES[:count])
    )
    return ExampleSet(made, tuple(Statement(f"{example.about} rain", "red", example.about) for example in made))


def teacher(**changes) -> Teacher:
    return Teacher([examples()], **{"asserted": False, "near_share": 0.5} | changes)


def lesson_of(chosen: Teacher, rng: random.Random, count: int) -> Lesson:
    return chosen.lesson(rng, chosen.drawn(rng, count))


def test_lessons_hold_nothing_that_they_ask_as_unrelated():
    rng = random.Random(0)
    for _ in range(20):
        lesson = lesson_of(teacher(near_share=0.0), rng, 6)
        held = {edit.source.split()[2] for edit in lesson.edits}
        assert len(held) == len(lesson.edits) == len(lesson.inside) == len(lesson.outside) == 6
        assert not held & {item.source.split()[0] for item in lesson.outside}
        assert lesson.free.shape == (12, 6)
        assert not lesson.free[:6].diagonal().any()
        assert lesson.free[6:].diagonal().all()
        for row, item in enumerate(lesson.inside):
            for column, edit in enumerate(lesson.edits):
                assert lesson.free[row, column] == (row != column and edit.target not in item.source)
    assert {edit.target for edit in lesson_of(teacher(asserted=True), rng, 4).edits} == {""}
    with pytest.raises(DataError, match="no statement out of the scope"):
        lesson_of(teacher(near_share=0.0), rng, 12)


def test_edits_beside_those_asked_about_are_held_too():
    rng = random.Random(0)
    own = teacher(near_share=0.0)
    for _ in range(20):
        drawn = own.drawn(rng, 8)
        lesson = own.lesson(rng, drawn[:3], drawn[3:])
        assert [len(lesson.edits), len(lesson.inside), lesson.free.shape] == [8, 3, (6, 8)]
        held = {edit.source.split()[2] for edit in lesson.edits}
        assert not held & {item.source.split()[0] for item in lesson.outside}
        assert not any(lesson.free[row, row] for row in range(3))
        scores = torch.randn(6, 8)
        narrowed = lesson.narrowed(scores)
        assert narrowed.edits[:3] == lesson.edits[:3]
        assert set(narrowed.edits) <= set(lesson.edits)
        kept = [lesson.edits.index(edit) for edit in narrowed.edits]
        assert torch.equal(narrowed.free, lesson.free[:, kept])
        whole = scope_loss(scores.clamp(max=-0.1), lesson, "likeliest")
        assert float(scope_loss(scores.clamp(max=-0.1)[:, kept], narrowed, "likeliest")) == pytest.approx(float(whole))


def test_the_boundary_is_where_most_inputs_are_decided_right():
    lesson = Lesson((Descriptor("a", "b"),) * 2, (Statement("a", "b"),) * 2, (), torch.ones(4, 2).bool())
    apart = torch.tensor([[-1.0, -8.0], [-9.0, -2.0], [-6.0, -7.0], [-5.0, -8.0]])
    assert best_boundary([(lesson, apart)]) == pytest.approx(-3.5)
    overlapping = torch.tensor([[-1.0, -8.0], [-9.0, -5.5], [-6.0, -7.0], [-5.0, -8.0]])
    assert best_boundary([(lesson, overlapping)]) in (pytest.approx(-3.0), pytest.approx(-5.75))


def test_every_kind_of_input_is_drawn_as_often():
    example = examples().examples[0]
    assert [len(kind) for kind in kinds_of(example)] == [1, 1, 1]
    rng = random.Random(0)
    drawn = [teacher().inside(rng, example).source for _ in range(900)]
    assert all(250 < drawn.count(source) < 350 for source in set(drawn))


def test_the_loss_is_the_balanced_cross_entropy():
    free = torch.tensor([[0, 1], [0, 0], [1, 1], [0, 1]]).bool()
    lesson = Lesson((Descriptor("a", "b"),) * 2, (Statement("a", "b"),) * 2, (), free)
    scores = torch.tensor([[-0.1, -2.0], [-3.0, -0.2], [-1.0, -4.0], [-0.5, 0.0]])
    positive = (0.1 + 0.2) / 2

    def negative(*values):
        return sum(-math.log(max(1 - math.exp(value), 1.2e-7)) for value in values) / len(values)

    assert float(scope_loss(scores, lesson, "diagonal")) == pytest.approx(positive + negative(-1.0, 0.0), rel=1e-5)
    found = float(scope_loss(scores, lesson, "all"))
    assert found == pytest.approx(positive + negative(-2.0, -1.0, -4.0, 0.0), rel=1e-5)
    right = scope_accuracy(scores, lesson)
    assert right == {"covered": 1.0, "retrieved": 1.0, "left_alone": 0.5}


@pytest.mark.parametrize("negatives", ["diagonal", "all"])
def test_a_classifier_learns_scopes(negatives):
    lm = tiny_model("bert_masked", seed=3)
    scope = EmbeddingScope(lm.model.base_model, lm.tokenizer)
    settings = PartSettings(steps=150, batch=5, lr=3e-3, negatives=negatives, validate_every=30, validation_batches=4)
    made = train_scope(scope, teacher(), teacher(), settings)
    losses = [entry["loss"] for entry in made["history"]]
    # Guessing costs 2 log 2.
    assert min(losses) < 0.9
    assert made["best_step"] == made["history"][losses.index(min(losses))]["step"]
    assert not any(parameter.requires_grad for parameter in scope.model.parameters())


def test_a_classifier_learns_against_a_memory_and_its_boundary_is_validations():
    lm = tiny_model("bert_masked", seed=3)
    scope = EmbeddingScope(lm.model.base_model, lm.tokenizer)
    settings = PartSettings(
        steps=60, batch=3, lr=3e-3, negatives="likeliest", memory=8, validate_every=30, validation_batches=4
    )
    made = train_scope(scope, teacher(), teacher(), settings)
    before = made["history"][[entry["step"] for entry in made["history"]].index(made["best_step"])]
    after = made["at_scale"]
    assert scope.scale == made["scale"] != 1
    assert after["covered"] + after["left_alone"] >= before["covered"] + before["left_alone"]
    lm = tiny_model("bert_two_classes")
    with pytest.raises(ConfigError, match="against a memory"):
        train_scope(CrossScope(lm.model, lm.tokenizer), teacher(), teacher(), settings)


def test_a_counterfactual_model_learns_answers():
    lm = tiny_model("t5", seed=3)
    settings = PartSettings(steps=60, batch=8, lr=1e-2, validate_every=20, validation_batches=2)
    losses = [entry["loss"] for entry in train_counterfactual(lm, teacher(), teacher(), settings)["history"]]
    assert min(losses) < losses[0]


def test_every_family_learns_where_an_answer_ends():
    edit = Descriptor("who is anna ?", "red")
    for lm in (tiny_lm(), tiny_model("t5")):
        row = counterfactual_row(lm, edit, "who is anna ?", "red")
        end = encode(lm, ".") if lm.model.config.model_type == "gpt2" else [lm.tokenizer.eos_token_id]
        plain = target_ids(lm, "red") if lm.model.config.model_type == "gpt2" else encode(lm, "red")
        assert list(row.target) == [*plain, *end], "the ending changes no token of the answer"


def test_a_decoders_free_answer_is_the_edits_and_stops():
    lm = tiny_lm(seed=3)
    settings = PartSettings(steps=60, batch=8, lr=1e-2, validate_every=60, validation_batches=1)
    some = Teacher([examples(4)], asserted=False, near_share=0.5)
    train_counterfactual(lm, some, some, settings)
    edits = [Descriptor(example.source, example.target) for example in examples(4).examples]
    prompts = [encode(lm, counterfactual_input(lm, edit, edit.source)) for edit in edits]
    found = continue_greedily(lm, prompts, new_tokens=8)
    assert [(one.text, one.stopped) for one in found] == [(edit.target, True) for edit in edits]


def test_training_is_the_same_each_time():
    weights = []
    for _ in range(2):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            tiny_model.cache_clear()
            lm = tiny_model("bert_masked", seed=4)
        scope = EmbeddingScope(lm.model.base_model, lm.tokenizer)
        train_scope(scope, teacher(), teacher(), PartSettings(steps=3, batch=4, lr=1e-3, validate_every=1))
        weights.append(scope.model.state_dict())
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())


def test_settings_are_checked():
    with pytest.raises(ConfigError, match="steps 0"):
        PartSettings(steps=0)
    with pytest.raises(ConfigError, match="negatives 'some'"):
        PartSettings(steps=1, negatives="some")


def test_groups_hold_as_many_edits_as_asked_and_leave_some_to_ask_about():
    rng = random.Random(0)
    small = held_together(rng, tests=30, others=0, held=10, edits=60)
    assert [len(group) for group in small] == [10] * 6
    assert sorted(small[0] + small[1] + small[2]) == list(range(30))
    large = held_together(rng, tests=30, others=100, held=90, edits=60)
    assert len(large) == 3
    for group in large:
        assert len(set(group)) == 90
        assert sum(index < 30 for index in group) == 20
    with pytest.raises(ConfigError, match="20 to test and 60 others"):
        held_together(rng, tests=30, others=60, held=90, edits=60)


def test_summaries_are_shares_of_questions():
    rows = [
        {"editor": "serac", "edits": 10, "kind": kind, "correct": correct, "same": same}
        for kind, correct, same in [("equivalent", 1, 0), ("equivalent", 0, 0), ("anchor", 0, 1), ("anchor", 1, 0)]
        + [("edited", 1, 0), ("anchor", 0, 1), ("anchor", 0, 1)]
    ]
    found = summarised(rows).set_index("metric")["mean"]
    assert found.to_dict() == {"edit_success": 50.0, "edit_success_edited": 100.0, "drawdown": 25.0}


def test_both_programs_run_from_raw_files_to_summaries(tmp_path):
    write_records(generate_world(WorldConfig(seed=3, people=40)), tmp_path, passages=4)
    for name, family in (("base", "t5"), ("encoder", "bert_masked")):
        lm = tiny_model(family)
        lm.model.save_pretrained(tmp_path / name)
        lm.tokenizer.save_pretrained(tmp_path / name)
    brief = {"steps": 2, "batch": 4, "lr": 1e-3, "validate_every": 1, "validation_batches": 1}
    parts = {
        "scope": {"form": "embed", "start": str(tmp_path / "encoder"), "training": brief},
        "counterfactual": {"start": str(tmp_path / "base"), "training": brief},
    }
    names = ("zsre_{}.jsonl", "impl_{}.json", "zsre_yn_{}.txt")
    files = [str(tmp_path / name.format(part)) for part in ("train", "validation") for name in names]
    common = ["--model", str(tmp_path / "base"), "--kind", "seq2seq", "--format", "hard_questions", "--files", *files]
    common += ["--validation", "10"]
    train.main([*common, "--parts", json.dumps(parts), "--out", str(tmp_path / "parts")])
    made = read_json(tmp_path / "parts/training.json")
    assert {len(part["history"]) for part in made.values()} == {2}
    variants = {"none": {"editor": "none", "at": [4]}, "serac": {"editor": "serac", "at": [1, 4]}}
    out = tmp_path / "out/summary.csv"
    given = [
        "--methods",
        "papers.serac.method",
        "--modules",
        "[]",
        "--edits",
        "8",
        "--anchors",
        "2",
        "--editors",
        str(tmp_path),
        "--parts",
        str(tmp_path / "parts"),
    ]
    compare.main([*common, *given, "--variants", json.dumps(variants), "--out", str(out)])
    summary = pd.read_csv(out)
    assert set(zip(summary["editor"], summary["edits"], strict=True)) == {("none", 4), ("serac", 1), ("serac", 4)}
    none = summary[summary["editor"] == "none"].set_index("metric")["mean"]
    assert none["drawdown"] == 0
    broken = pd.read_csv(out.with_name("parts.csv"))
    assert set(broken["kind"]) == {"in_easy", "in_hard", "out_easy", "out_hard"}
    shown = list(read_jsonl(out.with_name("shown.jsonl")))
    assert {row["asked"] for row in shown} >= {"in_easy", "in_hard", "out_easy"}
    assert all(row["same"] for row in shown if not row["covered_by"])


def test_an_edit_takes_any_answer_and_what_it_entails_follows():
    example = EditExample(
        0,
        "who is anna ?",
        "red",
        ("who is anna ?",),
        about="anna",
        entailed=(
            Statement("who is red ?", "anna"),
            Statement("is anna blue ?", "False"),
            Statement("is it red ?", "True"),
        ),
    )
    changed = with_answer(example, "blue")
    assert changed.target == "blue"
    assert [item.source for item in changed.entailed] == ["who is blue ?", "is it blue ?"]
    rng = random.Random(0)
    drawn = teacher(foreign_share=1.0).answers(rng, 200)
    own = {example.source: example.target for example in examples().examples}
    assert sum(edit.target != own[edit.source] for edit, _ in drawn) > 150
    assert all(item.target in (edit.target, "True") for edit, item in drawn)
