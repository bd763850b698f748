"""Text metrics against hand-computed values."""

import json
import math

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from shared.data.requests import Case, EditRequest
from shared.errors import DataError
from shared.measures.text_metrics import (
    ReferenceScorer,
    fit_vectorizer,
    generation_entropy,
    load_vectorizer,
    ngram_entropy,
    read_snippets,
    reference_score,
    word_tokens,
)

TEXTS = ["ann plays the cello", "bo plays golf", "the golf course"]


def test_word_tokens_separate_punctuation_in_every_sentence():
    assert word_tokens("She isn't here. He left!") == ["She", "is", "n't", "here", ".", "He", "left", "!"]
    assert word_tokens("") == []


def test_ngram_entropy_by_hand():
    words = ["a", "b", "a", "b", "a"]  # bigrams ab ba ab ba, trigrams aba bab aba
    assert ngram_entropy(words, 1) == pytest.approx(-(0.6 * math.log2(0.6) + 0.4 * math.log2(0.4)))
    assert ngram_entropy(words, 2) == pytest.approx(1.0)
    assert ngram_entropy(words, 3) == pytest.approx(-(2 / 3 * math.log2(2 / 3) + 1 / 3 * math.log2(1 / 3)))
    assert ngram_entropy(["a", "b"], 3) == 0.0
    assert ngram_entropy(["a"] * 9, 2) == 0.0


def test_generation_entropy_is_the_mean_of_the_weighted_terms():
    trigram = -(2 / 3 * math.log2(2 / 3) + 1 / 3 * math.log2(1 / 3))
    assert generation_entropy("a b a b a") == pytest.approx((2 / 3 * 1.0 + 4 / 3 * trigram) / 2)
    distinct = " ".join(f"w{index}" for index in range(65))  # 64 bigrams, 63 trigrams, all different
    assert generation_entropy(distinct) == pytest.approx((2 / 3 * 6 + 4 / 3 * math.log2(63)) / 2)


def test_reference_score_by_hand():
    vectorizer = fit_vectorizer(TEXTS)
    assert reference_score(vectorizer, ["bo plays", "golf"], ["golf plays bo"]) == pytest.approx(1.0)
    assert reference_score(vectorizer, ["ann"], ["golf"]) == 0.0
    # idf = ln((1 + 3) / (1 + df)) + 1, so "plays" (in two texts) weighs w and "ann" (in one) weighs v.
    w, v = math.log(4 / 3) + 1, math.log(4 / 2) + 1
    assert reference_score(vectorizer, ["plays ann"], ["plays"]) == pytest.approx(w / math.hypot(w, v))
    assert math.isnan(reference_score(vectorizer, ["unknown words"], ["golf"]))


def test_authors_files_give_the_same_vectorizer(tmp_path):
    fitted = fit_vectorizer(TEXTS)
    idf, vocabulary = tmp_path / "idf.npy", tmp_path / "vocabulary.json"
    np.save(idf, fitted.idf_)
    vocabulary.write_text(json.dumps({term: int(column) for term, column in fitted.vocabulary_.items()}))
    loaded = load_vectorizer(idf, vocabulary)
    assert np.allclose(loaded.transform(TEXTS).toarray(), TfidfVectorizer().fit_transform(TEXTS).toarray())
    np.save(idf, fitted.idf_[:-1])
    with pytest.raises(DataError, match="one weight per term"):
        load_vectorizer(idf, vocabulary)
    np.save(idf, np.array([{"pickled": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="not a plain numpy array"):
        load_vectorizer(idf, vocabulary)
    np.save(idf, fitted.idf_)
    with pytest.raises(DataError, match="not a JSON vocabulary"):
        load_vectorizer(idf, tmp_path / "none.json")


def case(case_id, relation_id="P1", target_new_id="Q1"):
    return Case(
        request=EditRequest(
            case_id=case_id,
            subject="Ann",
            prompt="{} plays",
            target_new="golf",
            relation_id=relation_id,
            target_new_id=target_new_id,
        )
    )


def test_reference_scorer(tmp_path):
    path = tmp_path / "snippets.json"
    samples = [{"name": "Bo", "text": text, "url": None} for text in TEXTS[1:]]
    groups = [
        {"relation_id": "P1", "target_id": "Q1", "samples": samples},
        {"relation_id": "P2", "target_id": "Q1", "samples": [{"name": "Ann", "text": TEXTS[0]}]},
    ]
    path.write_text(json.dumps(groups))
    snippets = read_snippets(path)
    assert snippets["P1", "Q1"] == TEXTS[1:]
    scorer = ReferenceScorer.for_cases([case(1), case(2, target_new_id="Q9")], snippets)
    expected = reference_score(fit_vectorizer(TEXTS), ["the golf"], TEXTS[1:])
    assert scorer.score(1, ["the", "golf"]) == pytest.approx(expected)
    assert 0 < expected < 1
    assert math.isnan(scorer.score(2, ["the golf"]))
    with pytest.raises(DataError, match="case_id 3"):
        scorer.score(3, ["the golf"])
    with pytest.raises(DataError, match="case_id 4: .*None"):
        ReferenceScorer.for_cases([case(4, target_new_id=None)], snippets)
