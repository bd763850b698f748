"""The scoring kernel equals one plain forward pass per target."""

import pytest
import torch

from shared.edits.deltas import applied, row_edits
from shared.inference.scoring import score_targets
from shared.tests.test_deltas import make_edit
from shared.tests.tiny import FAMILIES, tiny_lm

PAIRS = [
    ([5, 6, 7], [8]),
    ([5, 6, 7], [9, 10, 11]),
    ([5, 6, 7], [9, 10, 12]),
    ([5, 6, 7, 9], [3]),
    ([4], [2, 2]),
    ([20, 21, 22, 23, 24, 25], [30, 31]),
]


@torch.no_grad()
def plain_score(lm, prompt, target):
    """Score by the Hugging Face model alone."""
    log_probs = lm.model(torch.tensor([prompt + target])).logits[0].log_softmax(-1)
    rows = log_probs[len(prompt) - 1 : -1]
    values = tuple(float(row[token]) for row, token in zip(rows, target, strict=True))
    return values, tuple(int(row.argmax()) == token for row, token in zip(rows, target, strict=True))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("max_tokens", [1, 12, 10_000])
def test_equals_plain_passes(family, max_tokens):
    lm = tiny_lm(family)
    scores = score_targets(lm, *map(list, zip(*PAIRS, strict=True)), max_tokens=max_tokens)
    for (prompt, target), score in zip(PAIRS, scores, strict=True):
        values, correct = plain_score(lm, prompt, target)
        assert score.log_probs == pytest.approx(values, abs=1e-4)
        assert score.correct == correct
        assert score.mean_nll == pytest.approx(-sum(values) / len(values), abs=1e-4)


def test_each_row_carries_its_edit():
    lm = tiny_lm()
    edits = [make_edit(lm, 1, 1), make_edit(lm, 0, 2)]
    prompts, targets = map(list, zip(*PAIRS * 3, strict=True))
    edit_of = [None] * len(PAIRS) + [0] * len(PAIRS) + [1] * len(PAIRS)
    with row_edits(lm, edits) as rows:
        scores = score_targets(lm, prompts, targets, edits=rows, edit_of=edit_of, max_tokens=40)
    for index, (prompt, target) in enumerate(PAIRS):
        for which, edit in enumerate(edits):
            with applied(lm, edit):
                values, _ = plain_score(lm, prompt, target)
            assert scores[(which + 1) * len(PAIRS) + index].log_probs == pytest.approx(values, abs=1e-4)


def test_one_token_targets_share_their_prompts_row(monkeypatch):
    """Two one-token targets and a longer one after the same prompt cost a single row."""
    lm = tiny_lm()
    rows = []
    import shared.inference.scoring as scoring

    plain = scoring.pad_right
    monkeypatch.setattr(scoring, "pad_right", lambda ids, *rest: rows.extend(ids) or plain(ids, *rest))
    score_targets(lm, [[5, 6]] * 3, [[7], [8], [9, 10]])
    assert rows == [(5, 6, 9)]


def test_empty_prompts_and_targets_are_refused():
    with pytest.raises(ValueError, match="at least one token"):
        score_targets(tiny_lm(), [[]], [[1]])
    with pytest.raises(ValueError, match="at least one token"):
        score_targets(tiny_lm(), [[1]], [[]])
