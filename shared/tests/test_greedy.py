"""Greedy continuations: equal to plain decoding up to the stop, whatever the batch, each row under its own edit."""

import pytest
import torch

from shared.edits.deltas import applied, row_edits
from shared.errors import ConfigError
from shared.inference.greedy import continue_greedily, ending_tokens
from shared.tests.test_deltas import make_edit
from shared.tests.test_generation import greedy
from shared.tests.tiny import FAMILIES, tiny_lm

PROMPTS = [[5, 6, 7], [8], [9, 10, 11, 12, 13], [14, 15, 16, 17], [20, 21]]
NEW = 9


def plain(lm, prompt):
    """Decode step by step and cut at the first token that ends a text."""
    new = greedy(lm, prompt, len(prompt) + NEW)[len(prompt) :]
    ends = [place for place, token in enumerate(new) if ending_tokens(lm)[token]]
    text = lm.tokenizer.decode(new[: ends[0] + 1] if ends else new)
    for stop in (".", "\n", lm.tokenizer.eos_token):
        text = text.split(stop)[0]
    with torch.no_grad():
        first = lm.model(torch.tensor([prompt])).logits[0, -1].log_softmax(-1)
    return text.strip(), bool(ends), first


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("batch_rows", [1, 2, 128])
def test_equals_plain_decoding(family, batch_rows):
    lm = tiny_lm(family)
    found = continue_greedily(lm, PROMPTS, new_tokens=NEW, batch_rows=batch_rows)
    for one, prompt in zip(found, PROMPTS, strict=True):
        text, stopped, first = plain(lm, prompt)
        assert (one.text, one.stopped) == (text, stopped)
        torch.testing.assert_close(one.first, first, atol=1e-4, rtol=1e-4)


def test_rows_carry_their_edits():
    lm = tiny_lm()
    edits, edit_of = [make_edit(lm, 1, 1), make_edit(lm, 1, 2)], [1, None, 0, 0, 1]
    with row_edits(lm, edits) as rows:
        found = continue_greedily(lm, PROMPTS, new_tokens=NEW, edits=rows, edit_of=edit_of, batch_rows=2)
    for one, prompt, edit in zip(found, PROMPTS, edit_of, strict=True):
        if edit is None:
            assert one.text == plain(lm, prompt)[0]
        else:
            with applied(lm, edits[edit]):
                assert one.text == plain(lm, prompt)[0]


def test_a_full_stop_ends_a_text():
    lm = tiny_lm()
    stop = lm.tokenizer.encode(".")[0]
    assert ending_tokens(lm)[stop]
    assert ending_tokens(lm)[lm.tokenizer.eos_token_id]
    assert not ending_tokens(lm)[lm.tokenizer.encode("a")[0]]


def test_what_does_not_fit_is_refused():
    with pytest.raises(ConfigError, match="do not fit"):
        continue_greedily(tiny_lm(), [[1] * 120], new_tokens=9)
