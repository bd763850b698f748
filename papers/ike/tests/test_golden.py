"""Contexts and scores equal those of the authors' code."""

import json
import random

import pytest

from papers.ike.demonstrations import PAPER_RATIO, context_of, demonstrate, kinds_of, question
from papers.ike.tests import golden
from shared.inference.prefix_scoring import score_behind_prefix
from shared.model.tokens import encode, target_ids


def context(case_id, run):
    request = golden.cases()[case_id].request
    rng = random.Random(run["seed"])
    kinds = kinds_of(run["k"], PAPER_RATIO, "authors", rng)
    assert kinds == [("copy", "update", "retain")[code] for code in run["demo_types_in_retrieval_order"]]
    places = zip(run["demo_record_ids"], kinds, strict=True)
    demonstrations = [demonstrate(golden.cases()[place], kind, rng) for place, kind in places][::-1]
    return context_of(request, demonstrations, append_target_copy=True)


@pytest.mark.parametrize("name", [golden.LONG, golden.ONE, golden.NONE])
@pytest.mark.parametrize("case_id", golden.CASES)
def test_contexts_and_scores(case_id, name):
    run = golden.runs(case_id)[name]
    ours = context(case_id, run)
    request = golden.cases()[case_id].request
    assert ours == run["context"] + question(request)
    lm, prompts, targets, expected = golden.model(name), [], [], []
    for query in run["queries"]:
        text = ours + query["prompt"]
        assert text == run["context"] + query["query_text"]
        for target, nll in zip(query["targets"], query["mean_nll"], strict=True):
            prompts.append(encode(lm, text))
            targets.append(target_ids(lm, target))
            expected.append(nll)
            # The tokens of prompt and target are those of the whole text.
            assert prompts[-1] + targets[-1] == encode(lm, f"{text} {target}")
        assert len(prompts[-1]) + max(map(len, targets[-2:])) <= lm.arch.n_positions
    scores = score_behind_prefix(lm, prompts, targets)
    assert [score.mean_nll for score in scores] == pytest.approx(expected, abs=1e-4)
    # The authors' probability is the inverse of the perplexity.
    probabilities = [value for query in run["queries"] for value in query["prob"]]
    assert [score.probability for score in scores] == pytest.approx(probabilities, rel=1e-3)


def test_cleaned_paraphrases():
    expected = json.loads((golden.FOLDER / "ike" / "clean_paraphrases.json").read_text())
    assert len(expected) == 16
    for record in expected:
        assert list(golden.cases()[record["case_id"]].paraphrase_prompts) == record["paraphrase_prompts"]
