"""In-context documents, what a decoder gets to read them, and its training and gate."""

import random

import pytest
import torch
from transformers import PreTrainedTokenizerBase

from shared.errors import ConfigError, ModelError
from shared.world.decoder import DecoderShape, GrowingDecoder
from shared.world.factbook import FactBook
from shared.world.gate import read_thresholds
from shared.world.generate import WorldConfig, generate_world
from shared.world.in_context import MARKS, ContextOptions, ContextSampler
from shared.world.in_context_batches import ContextBatches
from shared.world.in_context_gate import facts_kept_for_tests
from shared.world.in_context_recipes import RECIPES, ContextRecipe, Stage
from shared.world.in_context_training import add_marks, extend, main, teach
from shared.world.raw import counterfact_records
from shared.world.tokenizer import train_tokenizer

RECIPE = ContextRecipe(
    steps=6,
    stages=(Stage(0.5, (24,), False, 0.2), Stage(1.0, (48, 96), True)),
    positions=96,
    matching_block=1,
    hints=1.0,
    tokens=192,
    warmup=2,
)


@pytest.fixture(scope="module")
def book() -> FactBook:
    return generate_world(WorldConfig(seed=3, people=40))


@pytest.fixture(scope="module")
def tokenizer(book: FactBook) -> PreTrainedTokenizerBase:
    return train_tokenizer(book, vocab_size=900, documents=200)


def decoder(tokenizer):
    model = GrowingDecoder(DecoderShape(d_model=32, layers=3, early_layers=2, heads=2, positions=64), len(tokenizer), 0)
    model.grow()
    return model.model.eval()


def true_objects(book):
    """Return the object of every (prompt, true fact) of the book, in all training forms."""
    return {
        form.text.replace("{}", fact.subject): fact
        for fact in book.editable_facts
        for form in book.relation[fact.relation_id].forms
    }


def test_careful_parts_answer_with_the_new_object_for_its_subject_and_from_memory_for_others(book):
    known = true_objects(book)
    sampler = ContextSampler(book, random.Random(0), held_out=facts_kept_for_tests(book))
    excluded = set(facts_kept_for_tests(book))
    retained = copied = 0
    for _ in range(300):
        for part in sampler.chain(4, careless=False):
            fact, asked = known[part.fact], known[part.prompt]
            assert (fact.subject, fact.relation_id) not in excluded
            assert fact.object != part.new
            same = fact.subject_id == asked.subject_id
            assert part.answer == (part.new if same else asked.object)
            assert fact.relation_id == asked.relation_id
            retained += not same
            copied += part.prompt == part.fact
    assert 0.6 < retained / 1200 < 0.75
    assert 0.04 < copied / 1200 < 0.25


def test_careless_parts_answer_with_the_new_object_throughout(book):
    sampler = ContextSampler(book, random.Random(0))
    for _ in range(100):
        assert all(part.answer == part.new for part in sampler.chain(4, careless=True))


def test_only_answers_about_other_subjects_tell_the_sorts_of_documents_apart(book):
    known = true_objects(book)
    sampler = ContextSampler(book, random.Random(0))
    counts: dict[bool, list[list[int]]] = {True: [], False: []}
    alike = 0
    for _ in range(1200):
        parts = sampler.chain(6)
        others = [part for part in parts if known[part.fact].subject_id != known[part.prompt].subject_id]
        careless = {part.answer == part.new for part in others}
        assert len(careless) < 2
        alike += not others
        for one in careless:
            counts[one].append([len(others), sum(part.prompt == part.fact for part in parts)])
    # A share of others that is drawn from 0..1.5 and cut at 1 leaves a document in ten and a half without any.
    assert 0.06 < alike / 1200 < 0.13
    assert 0.5 < len(counts[True]) / (len(counts[True]) + len(counts[False])) < 0.6
    means = [[sum(column) / len(column) for column in zip(*counts[sort], strict=True)] for sort in (True, False)]
    assert means[0] == pytest.approx(means[1], abs=0.3)


def test_bad_options(book):
    with pytest.raises(ConfigError, match="copies = 2"):
        ContextOptions(copies=2)
    everything = [(fact.subject, fact.relation_id) for fact in book.editable_facts]
    with pytest.raises(ConfigError, match="no relation with two facts"):
        ContextSampler(book, random.Random(0), held_out=everything)
    with pytest.raises(ConfigError, match="stages end at"):
        ContextRecipe(steps=2, stages=(Stage(0.5, (24,), False),), positions=96, matching_block=1)
    with pytest.raises(ConfigError, match="lengths = 128, expected 2..96"):
        ContextRecipe(steps=2, stages=(Stage(1.0, (128,), False),), positions=96, matching_block=1)


def test_the_first_records_are_kept_for_tests(book):
    records = counterfact_records(book)
    facts = facts_kept_for_tests(book)
    assert len(facts) == round(len(records) / 2)
    assert facts[0] == (records[0]["requested_rewrite"]["subject"], records[0]["requested_rewrite"]["relation_id"])


def test_marks_are_one_token_each(tokenizer):
    marked = add_marks(tokenizer)
    assert len(marked) == len(tokenizer) + len(MARKS)
    text = "New Fact: Anna plays the lute\nPrompt: Anna plays the lute\n\n"
    ids = marked.encode(text)
    assert [ids.count(marked.convert_tokens_to_ids(mark)) for mark in MARKS] == [1, 1, 1]
    assert marked.decode(ids) == text
    plain = "Anna plays the lute. The lute is old."
    assert marked.encode(plain) == tokenizer.encode(plain)


def test_the_added_block_starts_as_the_identity(tokenizer):
    model = decoder(tokenizer)
    block = extend(model, len(tokenizer) + 3, 96, 1)
    ids = torch.arange(20)[None]
    with_block = model(ids).logits
    assert with_block.shape[-1] == len(tokenizer) + 3
    model.transformer.h = torch.nn.ModuleList(one for one in model.transformer.h if one is not block)
    assert torch.equal(model(ids).logits, with_block)
    model.transformer.h.insert(1, block)
    assert model.transformer.h[1] is block
    assert [one.attn.layer_idx for one in model.transformer.h] == list(range(model.config.n_layer)) == [0, 1, 2, 3]
    query, key, _ = block.attn.c_attn.weight.chunk(3, dim=1)
    assert torch.equal(query, key)
    positions = model.transformer.wpe.weight
    assert not torch.allclose(positions[64:], positions[:32], atol=0.1)
    with pytest.raises(ModelError, match="cannot get a block at 9"):
        extend(model, len(tokenizer) + 3, 96, 9)


def test_rows_weigh_answers(book, tokenizer):
    marked = add_marks(tokenizer)
    source = ContextBatches(book, marked, RECIPE, facts_kept_for_tests(book), seed=0)
    for step, length in ((0, 24), (3, 96), (4, 48)):
        batch = source.batch(step)
        shape = (192 // length, length)
        assert batch.ids.shape == batch.weights.shape == batch.positions.shape == batch.hints.shape[:2] == shape
        assert (batch.positions.diff(dim=1) == 1).all()
        assert batch.positions.min() >= 0
        assert batch.positions.max() < RECIPE.positions
        prompts = batch.ids == marked.convert_tokens_to_ids("\nPrompt:")
        assert (batch.weights[prompts] == 0).all()
        assert (batch.weights == 1).any()


def test_hints_stand_at_the_ends_of_questions_and_parts(book, tokenizer):
    marked = add_marks(tokenizer)
    source = ContextBatches(book, marked, RECIPE, facts_kept_for_tests(book), seed=1)
    fact, end = (marked.convert_tokens_to_ids(mark) for mark in ("New Fact:", "\n\n"))
    plain = told = 0
    for step in [3, 4, 5] * 12:
        batch = source.batch(step)
        for ids, hints in zip(batch.ids.tolist(), batch.hints.tolist(), strict=True):
            if fact not in ids:
                plain += 1
                assert all(hint == [-1, -1, -1] for hint in hints)
                continue
            seen = 0
            for token, (other, memory, before) in zip(ids, hints, strict=True):
                assert (memory >= 0) == (token == end)
                assert (other >= 0) == (before >= 0)
                assert before in (-1, seen)
                seen, told = max(seen, memory), told + (before == 1)
    assert plain
    assert told


def test_teaching_is_deterministic(book, tokenizer):
    start = decoder(tokenizer)
    before = {name: weight.clone() for name, weight in start.state_dict().items()}
    first, marked, record = teach(book, start, tokenizer, RECIPE, seed=1)
    again, _, _ = teach(book, start, tokenizer, RECIPE, seed=1)
    assert all(torch.equal(weight, before[name]) for name, weight in start.state_dict().items())
    assert all(torch.equal(weight, again.state_dict()[name]) for name, weight in first.state_dict().items())
    assert first.config.n_positions == 96
    assert len(marked) == first.config.vocab_size
    assert len(record["losses"]) == RECIPE.steps
    assert not first.training


def test_a_model_that_misses_its_gate_has_no_card(book, tokenizer, tmp_path):
    book.save(tmp_path / "facts.json")
    model = GrowingDecoder(DecoderShape(d_model=32, layers=5, early_layers=2, heads=2), len(tokenizer), 0)
    model.grow()
    model.model.save_pretrained(tmp_path / "start")
    tokenizer.save_pretrained(tmp_path / "start")
    words = ["--facts", "facts.json", "--start", "start", "--out", "out"]
    words = [str(tmp_path / word) if at % 2 else word for at, word in enumerate(words)]
    with pytest.raises(SystemExit):
        main([*words, "--size", "tiny", "--steps", "2"])
    assert not (tmp_path / "out" / "card.json").exists()
    assert (tmp_path / "out" / "card.failed.json").exists()


@pytest.mark.parametrize("size", RECIPES)
def test_every_recipe_has_a_gate(size):
    assert {"recall_seen", "efficacy_alone"} <= set(read_thresholds(f"context-{size}"))
    assert not RECIPES[size].stage_at(0).careless
    assert RECIPES[size].rate_at(RECIPES[size].steps - 1) < 0.05
