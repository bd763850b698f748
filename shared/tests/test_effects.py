"""Average effects by token category, and the summary that gates a model."""

import pytest
import torch

from shared.data.requests import KnownFact
from shared.errors import DataError
from shared.tests.tiny import tiny_lm
from shared.traces.effects import average_indirect_effect, category_positions, predicted_answers
from shared.traces.trace_runs import make_fact

PROMPTS = ("Anna Bell works as a", "The piano of Anna Bell is in", "Anna Bell")


def _facts(lm, attributes=None):
    traced = [make_fact(lm, prompt, "Anna Bell") for prompt in PROMPTS]
    answers = attributes or [answer.strip() or "?" for answer in predicted_answers(lm, traced)]
    return [
        KnownFact(known_id=i, subject="Anna Bell", attribute=answer, prompt=prompt, template="{} is", relation_id="P1")
        for i, (prompt, answer) in enumerate(zip(PROMPTS, answers, strict=True))
    ]


def test_categories_of_short_prompts():
    assert category_positions(0, 1, 1)["first_subsequent"] == range(1, 1)
    places = category_positions(0, 2, 3)
    assert (list(places["first_subsequent"]), list(places["further"]), list(places["last"])) == ([2], [], [2])
    assert len(category_positions(2, 3, 9)["middle_subject"]) == 0
    assert list(category_positions(1, 5, 9)["middle_subject"]) == [2, 3]
    assert list(category_positions(1, 5, 9)["further"]) == [6, 7]


def test_predictions_do_not_depend_on_the_batch():
    lm = tiny_lm("gpt2")
    traced = [make_fact(lm, prompt, "Anna Bell") for prompt in PROMPTS]
    tokens = [lm.model(torch.tensor([fact.ids])).logits[0, -1].argmax().item() for fact in traced]
    expected = [lm.tokenizer.decode([token]) for token in tokens]
    assert predicted_answers(lm, traced) == expected
    assert predicted_answers(lm, traced, max_tokens=1) == expected


def test_summary_of_a_model():
    lm = tiny_lm("gpt2")
    found = average_indirect_effect(lm, _facts(lm), kinds=("state", "mlp"), samples=3, only_correct=False)
    assert found.count == len(PROMPTS)
    assert 0 < found.clean < 1
    assert found.total == pytest.approx(found.clean - found.corrupted)
    assert set(found.indirect) == {"state", "mlp"}
    assert set(found.severed) == {"ordinary", "mlp", "attention"}
    torch.testing.assert_close(found.severed["ordinary"], found.indirect["state"]["last_subject"], atol=1e-6, rtol=0)
    assert not average_indirect_effect(lm, _facts(lm), samples=2, severed=False, only_correct=False).severed


def test_a_model_that_knows_nothing_is_refused():
    lm = tiny_lm("gpt2")
    with pytest.raises(DataError, match="none of the 3 facts"):
        average_indirect_effect(lm, _facts(lm, ["wrong"] * 3), samples=2)
