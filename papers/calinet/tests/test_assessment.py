"""Facts, contrasts and scores: what is asked, and that asking together changes nothing."""

import pytest
import torch

from papers.calinet.assessment import assess, contrast_score, contrast_scores, text_nll, word_overlap
from papers.calinet.calibration_facts import CONTRASTS, calibration_facts, contrast_templates, object_types
from papers.calinet.tests.world import decoder, facts, small_book
from shared.errors import DataError
from shared.model.tokens import encode, target_ids


def test_contrasts_ask_for_objects_of_the_same_type():
    book, types = small_book(), object_types(small_book())
    relation_of = {form.text: relation.id for relation in book.relations for form in relation.forms}
    found = contrast_templates(book)
    assert found
    for relation, templates in found.items():
        assert len(set(templates)) == CONTRASTS
        assert all(relation_of[text] != relation for text in templates)
        assert {types[relation_of[text]] for text in templates} == {types[relation]}


def test_wordings_are_kept_apart_and_misstated_facts_have_another_right_object():
    book = small_book()
    every = calibration_facts(book, 0.5, 0)
    assert calibration_facts(book, 0.5, 0, 5) == every[:5]
    assert 0.2 < sum(fact.misstated for fact in every) / len(every) < 0.8
    for fact in every:
        assert not set(fact.train) & set(fact.test)
        assert not set(fact.train + fact.test) & set(fact.validation)
        assert fact.gold != fact.false
        told = {one.object for one in book.facts if (one.subject, one.relation_id) == (fact.subject, fact.relation_id)}
        assert (fact.false in told) == fact.misstated
        assert (fact.gold in told) != fact.misstated
    assert not any(fact.misstated for fact in calibration_facts(book, 0, 0))
    with pytest.raises(DataError, match="facts are asked for"):
        calibration_facts(book, 0.5, 0, 10**6)


def test_scores_are_those_of_one_prompt_at_a_time():
    lm, asked = decoder(), facts()
    found = assess(lm, asked, alpha=0.001, max_tokens=64)
    for fact, one in zip(asked, found, strict=True):
        gold = target_ids(lm, fact.gold)
        with torch.no_grad():
            probabilities = [
                lm.model(torch.tensor([encode(lm, prompt)])).logits[0, -1].softmax(-1)
                for prompt in (fact.train[0], *fact.contrasts)
            ]
        own, *others = [float(probability[gold[0]]) for probability in probabilities]
        assert one.probability == pytest.approx(own, rel=1e-4)
        assert one.score == pytest.approx((own + 0.001) / (sum(others) / len(others) + 0.001), rel=1e-4)
        assert one.rank == 1 + int((probabilities[0] > probabilities[0][gold[0]]).sum())
        ids = torch.tensor([[*encode(lm, fact.test[0]), *gold]])
        with torch.no_grad():
            log_probs = lm.model(ids).logits[0, -len(gold) - 1 : -1].log_softmax(-1)
        assert one.nll == pytest.approx(-float(log_probs.gather(1, torch.tensor(gold)[:, None]).sum()), rel=1e-4)
        assert (one.tokens, one.false_tokens) == (len(gold), len(target_ids(lm, fact.false)))
    told = contrast_scores(lm, [(fact.train[0], fact.contrasts, fact.gold) for fact in asked], 0.001)
    assert told == pytest.approx([one.score for one in found], rel=1e-4)


def test_words_and_texts():
    assert contrast_score(0.5, [0.1, 0.3], 0) == pytest.approx(2.5)
    assert word_overlap("New York", "york") == pytest.approx(2 / 3)
    assert word_overlap("a", "b") == 0
    [(nll, tokens)] = text_nll(decoder(), ["one two three four five"], length=4)
    assert tokens == 3
    assert nll > 0
