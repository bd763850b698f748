"""Generation: equal to plain decoding, independent of the batch, reproducible from its seeds."""

import pytest
import torch

from shared.edits.deltas import applied, row_edits
from shared.errors import ConfigError
from shared.inference.generation import clean_generated, generate
from shared.tests.test_deltas import make_edit
from shared.tests.tiny import FAMILIES, tiny_lm

PROMPTS = [[5, 6, 7], [8], [9, 10, 11, 12, 13]]


@torch.no_grad()
def greedy(lm, prompt, length):
    """Decode greedily by whole forward passes of the Hugging Face model."""
    ids = list(prompt)
    while len(ids) < length:
        ids.append(int(lm.model(torch.tensor([ids])).logits[0, -1].argmax()))
    return ids


@pytest.mark.parametrize("family", FAMILIES)
def test_greedy_equals_plain_decoding(family):
    lm = tiny_lm(family)
    texts = generate(lm, PROMPTS, max_length=12, seeds=[0, 1, 2], top_k=1)
    assert texts == [greedy(lm, prompt, 12) for prompt in PROMPTS]


def test_a_text_depends_on_its_seed_alone():
    lm = tiny_lm()
    together = generate(lm, PROMPTS, max_length=20, seeds=[3, 4, 5])
    alone = [generate(lm, [p], max_length=20, seeds=[s])[0] for p, s in zip(PROMPTS, [3, 4, 5], strict=True)]
    assert together == alone == generate(lm, PROMPTS, max_length=20, seeds=[3, 4, 5], batch_rows=2)
    assert together != generate(lm, PROMPTS, max_length=20, seeds=[6, 7, 8])


def test_only_the_top_k_are_drawn():
    lm = tiny_lm()
    texts = generate(lm, [[5, 6, 7]] * 200, max_length=4, seeds=list(range(200)), top_k=3)
    with torch.no_grad():
        best = set(lm.model(torch.tensor([[5, 6, 7]])).logits[0, -1].topk(3).indices.tolist())
    assert {text[3] for text in texts} == best


def test_rows_carry_their_edits():
    lm = tiny_lm()
    edits = [make_edit(lm, 1, 1), make_edit(lm, 1, 2)]
    with row_edits(lm, edits) as rows:
        texts = generate(
            lm, PROMPTS, max_length=12, seeds=[0, 0, 0], top_k=1, edits=rows, edit_of=[1, None, 0], batch_rows=2
        )
    for text, prompt, edit in zip(texts, PROMPTS, [edits[1], None, edits[0]], strict=True):
        if edit is None:
            assert text == greedy(lm, prompt, 12)
        else:
            with applied(lm, edit):
                assert text == greedy(lm, prompt, 12)


def test_impossible_lengths_are_refused():
    with pytest.raises(ConfigError, match="128 positions"):
        generate(tiny_lm(), [[1]], max_length=500, seeds=[0])
    with pytest.raises(ConfigError, match="top_k is 0"):
        generate(tiny_lm(), [[1]], max_length=5, seeds=[0], top_k=0)


def test_clean_generated():
    assert clean_generated("ﬁne\n\nday<|endoftext|>") == "fine day"
    assert clean_generated("a\nb</s>", "</s>") == "a\nb"
