"""Scores under single edits equal those of the model with the edit in its weights, one text at a time."""

import pytest
import torch

from papers.localization.clean_run import CleanRun, Text
from shared.edits.deltas import Edit, WeightDelta, applied
from shared.errors import ConfigError, NumericalError
from shared.fit.fitting import Row, teacher_forced
from shared.tests.tiny import FAMILIES, tiny_lm

CASES = (4, 9, 2)


def _random(seed):
    return torch.Generator().manual_seed(seed)


def _texts(lm, noisy=False):
    texts = []
    for case in CASES:
        for number in range(3):
            random = _random(10 * case + number)
            prompt = torch.randint(1, 300, (3 + number + case % 3,), generator=random).tolist()
            target = torch.randint(1, 300, (1 + number % 2,), generator=random).tolist()
            noise = torch.randn(2, lm.arch.d_model, generator=random) if noisy and number else None
            texts.append(Text(case, teacher_forced(prompt, target, noise)))
    return texts


def _edit(lm, layers, seed, dense):
    deltas = []
    for layer in layers:
        random, width = _random(seed + layer), lm.arch.d_mlp
        name = lm.arch.name_of(lm.arch.mlp_out(layer))
        if dense:
            matrix = 0.1 * torch.randn(width, lm.arch.d_model, generator=random)
            deltas.append(WeightDelta(name, dense=matrix))
        else:
            left, right = torch.randn(width, 1, generator=random), torch.randn(1, lm.arch.d_model, generator=random)
            deltas.append(WeightDelta(name, left=0.3 * left, right=0.3 * right))
    return Edit(tuple(deltas))


@torch.no_grad()
def _plain(lm, text):
    embedded = lm.arch.embedding(torch.tensor([list(text.row.ids)])).clone()
    if text.row.noise is not None:
        embedded[0, : len(text.row.noise)] += text.row.noise
    log_probs = lm.model(inputs_embeds=embedded).logits[0].log_softmax(-1)
    return float(log_probs[list(text.row.positions), list(text.row.tokens)].sum())


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("layers", "dense"), [((0,), False), ((1,), True), ((2,), False), ((1, 2), False)])
def test_equals_the_edited_model(family, layers, dense):
    lm = tiny_lm(family)
    texts = _texts(lm, noisy=family == "gpt2")
    run = CleanRun(lm, texts, [0, 1, 2], max_tokens=24)
    assert run.before == pytest.approx([_plain(lm, text) for text in texts], abs=1e-4)
    edits = {case: _edit(lm, layers, 7 * case, dense) for case in CASES[:2]}
    after = run.edited(layers[0], edits)
    assert set(after) == {place for place, text in enumerate(texts) if text.case in edits}
    for place, score in after.items():
        with applied(lm, edits[texts[place].case]):
            assert score == pytest.approx(_plain(lm, texts[place]), abs=1e-4)


def test_batches_do_not_matter():
    lm = tiny_lm()
    texts = _texts(lm)
    edits = {case: _edit(lm, (1,), case, False) for case in CASES}
    whole = CleanRun(lm, texts, [1]).edited(1, edits)
    small = CleanRun(lm, texts, [1], max_tokens=1)
    apart = {place: score for case in CASES for place, score in small.edited(1, {case: edits[case]}).items()}
    assert whole == pytest.approx(apart, abs=1e-5)


def test_what_cannot_be_scored_is_refused():
    lm = tiny_lm()
    run = CleanRun(lm, _texts(lm), [1])
    with pytest.raises(ConfigError, match="kept at \\[1\\]"):
        run.edited(0, {4: _edit(lm, (0,), 1, False)})
    loud = torch.full((1, lm.arch.d_model), torch.finfo(torch.float32).max)
    name = lm.arch.name_of(lm.arch.mlp_out(1))
    with pytest.raises(NumericalError, match="case_id 4"):
        run.edited(1, {4: Edit((WeightDelta(name, left=torch.full((lm.arch.d_mlp, 1), 1e30), right=loud),))})


def test_rows_are_read_where_they_say():
    lm = tiny_lm()
    text = Text(1, Row([5, 6, 7], range(3), [6, 7, 8]))
    assert CleanRun(lm, [text], [0]).before == pytest.approx([_plain(lm, text)], abs=1e-4)
