"""Training and its gate: determinism, growth, recipes, thresholds and the command line."""

import json
from pathlib import Path

import pytest
import torch
from transformers import PreTrainedTokenizerBase

from shared.errors import ConfigError, NumericalError
from shared.model.models import load_lm
from shared.world.__main__ import main
from shared.world.decoder import DecoderShape, GrowingDecoder, rescale_stream
from shared.world.documents import Document
from shared.world.factbook import FactBook
from shared.world.folders import atomic_folder
from shared.world.gate import GATES, failures, read_thresholds
from shared.world.generate import WorldConfig, generate_world
from shared.world.recipes import RECIPES, recipe_named
from shared.world.tokenizer import train_tokenizer
from shared.world.train import BatchSource, train_decoder

SHORT = {"list_steps": 10, "frozen_steps": 10, "settle_steps": 10, "d_model": 32, "layers": 3, "early_layers": 2}
SHORT |= {"heads": 2, "tokens": 128, "length": 64, "list_length": 32, "positions": 64}


@pytest.fixture(scope="module")
def book() -> FactBook:
    return generate_world(WorldConfig(seed=3, people=40))


@pytest.fixture(scope="module")
def tokenizer(book: FactBook) -> PreTrainedTokenizerBase:
    return train_tokenizer(book, vocab_size=900, documents=200)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_training_is_deterministic(book: FactBook, tokenizer: PreTrainedTokenizerBase) -> None:
    recipe = recipe_named("tiny", SHORT)
    first, record = train_decoder(book, tokenizer, recipe, seed=1)
    again, _ = train_decoder(book, tokenizer, recipe, seed=1)
    other, _ = train_decoder(book, tokenizer, recipe, seed=2)
    weights = first.state_dict()
    assert all(torch.equal(weight, weights[name]) for name, weight in again.state_dict().items())
    assert not torch.equal(other.transformer.wte.weight, first.transformer.wte.weight)
    assert len(first.transformer.h) == first.config.n_layer == SHORT["layers"]
    assert record["losses"][-1] < record["losses"][0]
    assert not first.training


def test_growth_keeps_the_function() -> None:
    decoder = GrowingDecoder(DecoderShape(d_model=32, layers=3, early_layers=2, heads=2), vocab_size=50, seed=0)
    ids = torch.arange(10)[None]
    before = decoder.model(input_ids=ids).logits
    decoder.grow()
    assert torch.allclose(decoder.model(input_ids=ids).logits, before, atol=1e-6)
    torch.nn.init.normal_(decoder.model.transformer.h[2].mlp.c_proj.weight)
    assert not torch.allclose(decoder.model(input_ids=ids).logits, before, atol=1e-6)


def test_rescaling_the_stream_keeps_the_function() -> None:
    decoder = GrowingDecoder(DecoderShape(d_model=32, layers=3, early_layers=2, heads=2), vocab_size=50, seed=0)
    decoder.grow()
    for parameter in decoder.model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    ids = torch.arange(10)[None]
    before = decoder.model(input_ids=ids, output_hidden_states=True)
    rescale_stream(decoder.model, 4.0)
    after = decoder.model(input_ids=ids, output_hidden_states=True)
    assert torch.allclose(after.logits, before.logits, atol=1e-3)
    assert torch.allclose(after.hidden_states[2], 4.0 * before.hidden_states[2], rtol=1e-3, atol=1e-3)


def test_frozen_blocks_do_not_learn_and_the_rest_does(book: FactBook, tokenizer: PreTrainedTokenizerBase) -> None:
    end_of_list, _ = train_decoder(book, tokenizer, recipe_named("tiny", SHORT | {"settle_rate": 0.0}), seed=1)
    longer, _ = train_decoder(
        book, tokenizer, recipe_named("tiny", SHORT | {"settle_rate": 0.0, "frozen_steps": 15}), 1
    )
    early, late = (
        [torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True)]
        for one, two in (
            (end_of_list.transformer.h[: SHORT["early_layers"]], longer.transformer.h[: SHORT["early_layers"]]),
            (end_of_list.transformer.h[SHORT["early_layers"] :], longer.transformer.h[SHORT["early_layers"] :]),
        )
    )
    assert all(early)
    assert not any(late)
    assert all(parameter.requires_grad for parameter in longer.parameters())


def test_each_stage_warms_up_and_decays() -> None:
    recipe = recipe_named("tiny", {"list_steps": 100, "frozen_steps": 200, "settle_steps": 50, "warmup": 10})
    rates = [recipe.rate_at(step) for step in range(recipe.steps)]
    assert [recipe.stage_at(step) for step in (0, 99, 100, 299, 300, 349)] == ["list"] * 2 + ["frozen"] * 2 + [
        "settle"
    ] * 2
    assert rates[0] == rates[100] == 0.1
    assert max(rates[:100]) > 0.8
    assert rates[300] == pytest.approx(recipe.settle_rate / 10)
    assert max(rates[300:]) < recipe.settle_rate


def test_loss_weighs_the_objects(book: FactBook, tokenizer: PreTrainedTokenizerBase) -> None:
    source = BatchSource(book, tokenizer, recipe_named("tiny", SHORT | {"other_weight": 0.25}), seed=0)
    encoding = tokenizer.backend_tokenizer.encode("Bo Kaitu plays the violin.", add_special_tokens=False)
    weights = source._weights(Document("Bo Kaitu plays the violin.", ((18, 25),)), encoding.offsets)
    inside = [tokenizer.decode([i]) for i, weight in zip(encoding.ids, weights, strict=True) if weight == 1.0]
    assert "".join(inside) == " violin"
    assert set(weights) == {0.25, 1.0}
    encoding = tokenizer.backend_tokenizer.encode("Bo violin piano.", add_special_tokens=False)
    weights = source._weights(Document("Bo violin piano.", ((2, 15),), first_tokens_only=True), encoding.offsets)
    assert [weight for weight in weights if weight != 0.25] == [1.0, 0.0]


def test_rows_begin_with_a_document_often_without_end_of_text(
    book: FactBook, tokenizer: PreTrainedTokenizerBase
) -> None:
    source = BatchSource(book, tokenizer, recipe_named("tiny", SHORT), seed=0)
    ids = torch.cat([source.batch(0)[0] for _ in range(60)])
    bare = [row for row in ids if row[0] != 0]
    assert 0.3 < len(bare) / len(ids) < 0.7
    assert all(not tokenizer.decode([row[0]]).startswith(" ") for row in bare)


def test_recipes_refuse_what_they_do_not_know() -> None:
    assert set(RECIPES) == {"tiny", "small", "large"} == set(json.loads(json.dumps(list(RECIPES))))
    assert recipe_named("small", {"salad_max": 2, "layers": 9}).documents.salad_max == 2
    for size, overrides, message in (
        ("huge", {}, "'huge' is unknown"),
        ("small", {"stepz": 3}, "'stepz' is unknown"),
        ("small", {"list_steps": 2.5}, "list_steps = 2.5"),
        ("small", {"list_steps": 0}, "list_steps"),
        ("small", {"length": 10**6}, "length = 1000000"),
        ("small", {"early_layers": 50}, "early_layers = 50"),
        ("small", {"heads": 7}, "heads = 7"),
    ):
        with pytest.raises(ConfigError, match=message):
            recipe_named(size, overrides)


def test_a_diverging_run_is_stopped(book: FactBook, tokenizer: PreTrainedTokenizerBase) -> None:
    with pytest.raises(NumericalError, match="training step"):
        train_decoder(book, tokenizer, recipe_named("tiny", SHORT | {"adam_rate": 1e30}), seed=0)


def test_gate_names_each_missed_threshold() -> None:
    thresholds = read_thresholds("small")
    passing = {name: 0.0 if name == "severed_share" else 1.0 for name in thresholds}
    assert not failures(passing, thresholds)
    assert "recall_seen is 0.500, expected at least" in failures(passing | {"recall_seen": 0.5}, thresholds)[0]
    assert "severed_share is 0.900, expected at most" in failures(passing | {"severed_share": 0.9}, thresholds)[0]
    with pytest.raises(ConfigError, match="no thresholds for size 'huge'"):
        read_thresholds("huge")
    with pytest.raises(ConfigError, match="'recal' is unknown"):
        failures(passing, {"recal": 1.0})
    assert GATES.is_file()


def test_command_line_from_facts_to_a_failed_gate(tmp_path: Path) -> None:
    facts, model = tmp_path / "facts", tmp_path / "model"
    assert main(["generate", "--people", "24", "--corpus-documents", "20", "--out", str(facts)]) == 0
    assert (
        main(["tokenizer", "--facts", str(facts / "facts.json"), "--vocabulary", "900", "--out", str(facts / "t")]) == 0
    )
    short = [text for name, value in SHORT.items() for text in ("--set", f"{name}={value}")]
    train = ["decoder", "--facts", str(facts / "facts.json"), "--tokenizer", str(facts / "t"), "--size", "tiny", *short]
    assert main([*train, "--out", str(model)]) == 0
    assert json.loads((model / "training.json").read_text())["size"] == "tiny"
    lm = load_lm(str(model))
    assert (lm.arch.n_layers, lm.arch.d_model) == (SHORT["layers"], SHORT["d_model"])
    card = tmp_path / "model" / "card.json"
    assert main(["gate", "--model", str(model), "--facts", str(facts / "facts.json"), "--out", str(card)]) == 1
    assert not card.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["facts", "model"]
    assert main(["decoder", "--facts", str(tmp_path / "no.json"), "--tokenizer", "x", "--out", str(model)]) == 1


def test_a_failed_run_leaves_no_model(tmp_path: Path) -> None:
    target = tmp_path / "model"
    with pytest.raises(RuntimeError), atomic_folder(target) as folder:
        (folder / "half").write_text("x")
        raise RuntimeError
    assert not list(tmp_path.iterdir())
    with atomic_folder(target) as folder:
        (folder / "old").write_text("x")
    with atomic_folder(target) as folder:
        (folder / "new").write_text("x")
    assert [path.name for path in target.iterdir()] == ["new"]
