"""Sharing a prefix changes no score, and an edit of kind context is its text before every prompt."""

import pytest

from shared.data.probes import GENERATION, POST
from shared.data.requests import Case, EditRequest
from shared.editing.evaluate import EvaluationOptions, GenerationOptions, evaluate_batch, evaluate_single
from shared.edits.deltas import Edit
from shared.inference.prefix_scoring import common_prefix, score_behind_prefix, score_in_groups
from shared.inference.scoring import score_targets
from shared.model.tokens import encode, target_ids
from shared.tests.tiny import FAMILIES, tiny_lm

PREFIX = list(range(5, 45))
PAIRS = [
    ([*PREFIX, 6, 7], [8]),
    ([*PREFIX, 6, 7], [9, 10, 11]),
    ([*PREFIX, 6, 7, 9], [3]),
    ([*PREFIX, 4], [2, 2]),
    ([*PREFIX, 20, 21, 22, 23, 24, 25], [30, 31]),
    (PREFIX, [7]),
]


def same(found, expected):
    for one, other in zip(found, expected, strict=True):
        assert one.log_probs == pytest.approx(other.log_probs, abs=1e-4)
        assert (one.predicted, one.correct) == (other.predicted, other.correct)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("max_tokens", [1, 10_000])
def test_equals_whole_sequences(family, max_tokens):
    lm = tiny_lm(family)
    prompts, targets = map(list, zip(*PAIRS, strict=True))
    same(score_behind_prefix(lm, prompts, targets, max_tokens), score_targets(lm, prompts, targets))
    unrelated = [prompt[::-1] for prompt in prompts]
    same(score_behind_prefix(lm, unrelated, targets, max_tokens), score_targets(lm, unrelated, targets))


def test_groups_keep_their_order():
    lm = tiny_lm()
    prompts, targets = map(list, zip(*PAIRS, *[(prompt[3:], target) for prompt, target in PAIRS], strict=True))
    groups = [0] * len(PAIRS) + [1] * len(PAIRS)
    order = [5, 8, 0, 7, 1, 9, 2, 6, 3, 11, 4, 10]
    mixed = [[column[at] for at in order] for column in (prompts, targets, groups)]
    same(score_in_groups(lm, *mixed), score_targets(lm, mixed[0], mixed[1]))


def test_the_last_token_of_every_sequence_is_left():
    assert common_prefix([[1, 2, 3], [1, 2, 4]]) == 2
    assert common_prefix([[1, 2], [1, 2, 4]]) == 1
    assert common_prefix([[1, 2, 3]]) == 2
    assert common_prefix([[1], [2]]) == 0


def test_empty_input_is_refused():
    for prompts, targets in (([[]], [[1]]), ([[1]], [[]]), ([], [])):
        with pytest.raises(ValueError, match="at least one token"):
            score_behind_prefix(tiny_lm(), prompts, targets)


class Prompter:
    """Puts the new fact before every prompt."""

    name = "prompter"

    def edit(self, lm, requests):
        return Edit((), kind="context", context=" ".join(map(self.fact, requests)))

    def edit_each(self, lm, requests):
        return [self.edit(lm, [request]) for request in requests]

    @staticmethod
    def fact(request):
        return f"{request.prompt.replace('{}', request.subject)} {request.target_new}. "


CASES = [
    Case(
        request=EditRequest(case_id=i, subject=name, prompt="{} plays the", target_new="piano", target_true="lute"),
        paraphrase_prompts=(f"The instrument of {name} is the",),
        neighborhood_prompts=("Bo Kant plays the",),
        generation_prompts=(f"{name} is", f"{name} was born in"),
    )
    for i, name in enumerate(["Anna Bell", "Danielle Darrieux"])
]
OPTIONS = EvaluationOptions(generation=GenerationOptions(max_length=24), edit_batch=1)


def test_contexts_stand_before_the_prompts():
    lm = tiny_lm()
    rows = [row for row in evaluate_single(lm, Prompter(), CASES, OPTIONS) if row.phase == POST]
    scored = [row for row in rows if row.kind != GENERATION]
    assert len(scored) == 6
    for row in scored:
        text = Prompter.fact(CASES[row.case_id].request) + row.prompt
        for side in ("new", "true"):
            (whole,) = score_targets(lm, [encode(lm, text)], [target_ids(lm, getattr(row, f"target_{side}"))])
            assert getattr(row, f"logprobs_{side}") == pytest.approx(whole.log_probs, abs=1e-4)
    texts = [row for row in rows if row.kind == GENERATION]
    assert all(row.text.strip().startswith(row.prompt) for row in texts)
    together = [row for row in evaluate_batch(lm, Prompter(), CASES, OPTIONS, 1) if row.phase == POST]
    assert [row.text for row in together] == [row.text for row in rows]
    assert [row.logprobs_new for row in together] == [row.logprobs_new for row in rows]
