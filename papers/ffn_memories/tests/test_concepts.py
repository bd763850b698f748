"""Classes of tokens, concepts of values, and what switching values on does."""

import math

import numpy as np
import pandas as pd
import pytest
import torch

from papers.ffn_memories.concepts import best_values, concept_of, random_values, read_concepts, token_classes
from papers.ffn_memories.control import continued, controlled, mean_nll, prompts_for, switched_on
from papers.ffn_memories.states import passes
from papers.ffn_memories.tests.book import SENTENCES, small_book
from shared.errors import ConfigError
from shared.inference.generation import generate
from shared.inference.scoring import score_targets
from shared.model.tokens import encode
from shared.tests.tiny import tiny_lm


def test_classes_of_tokens():
    lm = tiny_lm("gpt2")
    classes = token_classes(lm, small_book())
    assert len(classes) == lm.arch.unembedding.weight.shape[0]
    own = encode(lm, " doctor")
    assert {classes[token] for token in own} <= {"profession", "mixed"}


def test_concepts_are_beyond_chance():
    classes = ["city"] * 5 + ["words"] * 995
    usual = {"city": 0.005, "words": 0.995}
    assert concept_of([0, 1, 2, 3, *range(10, 36)], classes, usual) == ("city", 4)
    assert concept_of([0, 1, *range(10, 38)], classes, usual) == ("", 0)
    assert concept_of(list(range(10, 40)), classes, usual) == ("", 0)


def test_every_value_and_as_many_random_vectors_are_read():
    lm = tiny_lm("gpt2")
    frame = pd.DataFrame(read_concepts(lm, small_book(), "normed", 0))
    assert frame.groupby("vector").size().tolist() == [3 * lm.arch.d_mlp] * 2
    frame.loc[[3, 5], ["concept", "count", "probability"]] = [["city", 9, 0.1], ["city", 9, 0.2]]
    assert best_values(frame, "city", 2) == [(0, 5), (0, 3)]
    drawn = random_values(3, 80, 10, 0)
    assert len(set(drawn)) == 10
    assert drawn == random_values(3, 80, 10, 0)


def test_values_are_switched_on_before_the_activation():
    lm = tiny_lm("gpt2")
    ids = [encode(lm, SENTENCES[0])]
    with switched_on(lm, [(1, 4), (1, 7), (2, 0)], 3):
        seen = next(passes(lm, ids, 99))
    three = torch.nn.functional.gelu(torch.tensor(3.0), approximate="tanh")
    torch.testing.assert_close(seen.keys[1][0, :, [4, 7]], three.expand(len(ids[0]), 2))
    torch.testing.assert_close(seen.keys[2][0, :, 0], three.expand(len(ids[0])))
    clean = next(passes(lm, ids, 99))
    assert torch.equal(seen.keys[0], clean.keys[0])
    assert not torch.equal(seen.after[2], clean.after[2])


def test_continuations_and_perplexities_are_the_models():
    lm = tiny_lm("gpt2")
    prompts = [encode(lm, text)[:4] for text in SENTENCES[:3]]
    found, first = continued(lm, prompts, 3)
    greedy = generate(lm, prompts, max_length=7, seeds=[0] * 3, top_k=1)
    assert [prompt + own for prompt, own in zip(prompts, found, strict=True)] == [list(ids) for ids in greedy]
    banned = [own[0] for own in found]
    filtered, _ = continued(lm, prompts, 2, banned)
    assert not {token for own in filtered for token in own} & set(banned)
    assert first.sum(1).tolist() == pytest.approx([1] * 3, abs=1e-4)
    sequences = [encode(lm, text) for text in SENTENCES[:3]]
    scores = score_targets(lm, [ids[:1] for ids in sequences], [ids[1:] for ids in sequences])
    np.testing.assert_allclose(mean_nll(lm, sequences, 99), [one.mean_nll for one in scores], rtol=1e-4)


def test_controlled_lines():
    lm = tiny_lm("gpt2")
    book = small_book()
    prompts = prompts_for(lm, book, "profession", 5, 0)
    assert sorted(lm.tokenizer.decode(ids) for ids in prompts) == [
        "Anna Bell works as a",
        "Danielle Darrieux works as a",
    ]
    held_out = [encode(lm, text) for text in SENTENCES]
    classes = token_classes(lm, book)
    names = ("profession", "instrument")
    frame = pd.DataFrame(controlled(lm, prompts, held_out, {"some": [(2, 1)]}, classes, names, [1, 50], 3, 999))
    assert frame.groupby(["set", "coefficient"]).size().to_dict() == {
        ("some", 1): 2,
        ("some", 50): 2,
        ("unchanged", 0): 2,
        ("word filter", 0): 2,
    }
    assert frame.loc[frame["set"] == "word filter", "unwanted"].sum() == 0
    nll = frame.groupby(["set", "coefficient"])["nll"].first()
    assert math.isnan(nll["word filter", 0])
    assert nll["some", 50] != nll["unchanged", 0]
    with pytest.raises(ConfigError, match="no fact has an object of type 'city'"):
        prompts_for(lm, book, "city", 5, 0)
