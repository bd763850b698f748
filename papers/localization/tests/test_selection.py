"""What the unedited model knows: continuations, probabilities, answers under noise, texts, and which facts are used."""

import math

import numpy as np
import pytest
import torch

from papers.localization.facts import Fact, names_object, read_facts, usable
from papers.localization.modes import MODES
from papers.localization.noised_answer import noised_continuations, sampled_text_under_noise
from papers.localization.problems import PROBLEMS
from papers.localization.selection import FactSettings, find_facts
from papers.localization.tests import golden
from papers.localization.tests.oracle import continue_one, score_one
from shared.data.probes import rewrite_prompt
from shared.errors import DataError
from shared.model.tokens import encode
from shared.records import write_jsonl
from shared.tests.tiny import tiny_lm

PAPER, RELEASED = MODES["as_paper"], MODES["as_released"]


def _fact(**changes):
    fields = {"case_id": 1, "subject": "s", "completion": "c", "known": True, "probability": 0.5}
    return Fact(**fields | {"noised_answer": "n", "essence": []} | changes)


def test_facts_equal_the_slow_way():
    lm, cases = golden.model(), golden.cases()
    settings = FactSettings(golden.NOISE, PAPER, essence_texts=2, essence_length=12)
    for case, fact in zip(cases, find_facts(lm, cases, settings), strict=True):
        prompt, true = rewrite_prompt(case), case.request.target_true
        assert fact.completion == continue_one(lm, prompt)
        assert fact.known == (true.lower() in fact.completion.lower())
        assert fact.probability == pytest.approx(math.exp(score_one(lm, [prompt], [true], [None])[0]), rel=1e-4)
        assert [len(text) for text in fact.essence] == [12, 12]
        start = encode(lm, f"{case.request.subject} is a")
        assert all(text[: len(start)] == start for text in fact.essence)
    apart = [find_facts(lm, [case], settings)[0] for case in cases[::-1]][::-1]
    assert [fact.essence for fact in apart] == [fact.essence for fact in find_facts(lm, cases, settings)]
    assert find_facts(lm, cases[:1], FactSettings(golden.NOISE, RELEASED))[0].essence == []


def test_known_means_named_anywhere_in_any_case():
    assert names_object(" it is the VIOLIN. ", " violin")
    assert not names_object("viola", "violin")


def test_which_facts_are_used():
    erasure, injection = PROBLEMS["fact_erasure"], PROBLEMS["error_injection"]
    unlikely, unknown = _fact(probability=0.01), _fact(known=False)
    assert usable(unlikely, PAPER, injection)
    assert usable(unlikely, PAPER)
    assert not usable(unlikely, PAPER, erasure)
    assert not usable(unlikely, RELEASED, injection)
    assert not usable(unknown, PAPER)
    assert usable(unknown, PAPER, known_only=False)
    assert usable(_fact(case_id=1531), PAPER)
    assert not usable(_fact(case_id=1531), RELEASED)


def test_the_answer_under_noise_is_the_most_probable_on_average():
    lm = golden.model()
    case = golden.cases()[0]
    ids = encode(lm, rewrite_prompt(case))
    [answer] = noised_continuations(lm, [ids], [case.request.subject], golden.NOISE, samples=10)
    noise = golden.NOISE * torch.from_numpy(np.random.RandomState(1).randn(10, 2, lm.arch.d_model))
    embedded = lm.arch.embedding(torch.tensor([ids] * 10)).detach().clone()
    embedded[:, :2] += noise
    with torch.no_grad():
        mean = lm.model(inputs_embeds=embedded).logits[:, -1].softmax(-1).mean(0)
    assert answer == lm.tokenizer.decode([int(mean.argmax())]).strip()
    [longer] = noised_continuations(lm, [ids], [case.request.subject], golden.NOISE, tokens=3)
    assert longer.startswith(answer)
    assert len(encode(lm, f" {longer}")) == 3


def test_the_released_answer_is_the_whole_text_up_to_twelve_tokens():
    lm = golden.model()
    case = golden.cases()[0]
    prompt = rewrite_prompt(case)
    ids = encode(lm, prompt)
    sampled = [
        sampled_text_under_noise(lm, [ids], [case.request.subject], golden.NOISE, seeds=[seed])[0] for seed in (1, 1, 2)
    ]
    assert all(text.startswith(prompt) for text in sampled)
    assert {len(encode(lm, text)) for text in sampled} == {12}
    assert sampled[0] == sampled[1] != sampled[2]
    long = (ids * 4)[:14]
    assert sampled_text_under_noise(lm, [long], [case.request.subject], golden.NOISE, seeds=[1]) == [
        lm.tokenizer.decode(long)
    ]
    with pytest.raises(DataError, match="'Bo' is not in the prompt"):
        noised_continuations(tiny_lm(), [encode(tiny_lm(), "Anna")], ["Bo"], 0.5)


def test_facts_are_read_back_and_other_files_refused(tmp_path):
    fact = _fact(essence=[[1, 2]])
    write_jsonl(tmp_path / "facts.jsonl", [vars(fact)])
    assert read_facts(tmp_path / "facts.jsonl") == [fact]
    write_jsonl(tmp_path / "other.jsonl", [{"case_id": 1, "score": 2}])
    with pytest.raises(DataError, match="line 1: .*papers.localization.selection"):
        read_facts(tmp_path / "other.jsonl")
