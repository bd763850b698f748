"""Fluency and consistency of generated texts: n-gram entropy and TF-IDF similarity to reference texts (ROME, §3.4)."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from nltk.tokenize.destructive import NLTKWordTokenizer
from nltk.tokenize.punkt import PunktSentenceTokenizer
from pydantic import BaseModel
from sklearn.feature_extraction.text import TfidfVectorizer

from shared.data.reading import read_records
from shared.data.requests import Case
from shared.errors import DataError

NGRAM_WEIGHTS = {2: 2 / 3, 3: 4 / 3}

_SENTENCES = PunktSentenceTokenizer()
_WORDS = NLTKWordTokenizer()


def word_tokens(text: str) -> list[str]:
    """Split a text into sentences and these into words and punctuation.

    Deviation: `nltk.word_tokenize`, which the authors call, finds sentences with Punkt parameters trained on English
    and downloaded apart. Here Punkt runs without trained parameters, so that no download is needed and every machine
    counts the same words; the word rules are the same. The two differ after abbreviations ("Dr. Bell": the full stop
    becomes a token of its own), for the unedited model as for the edited one.
    """
    return [word for sentence in _SENTENCES.tokenize(text) for word in _WORDS.tokenize(sentence)]


def ngram_entropy(words: Sequence[str], n: int) -> float:
    """Return the entropy, in bits, of the frequencies of the n-grams of `words`; 0 if there are fewer than n words."""
    counts = Counter(zip(*(words[start:] for start in range(n)), strict=False))
    if not counts:
        return 0.0
    frequencies = np.array(list(counts.values())) / counts.total()
    # Adding zero turns the -0.0 of a single n-gram into 0.0.
    return float(-(frequencies * np.log2(frequencies)).sum()) + 0.0


def generation_entropy(text: str) -> float:
    """Return the fluency of one text in bits: the mean of ⅔·H₂ and 4⁄3·H₃ (GE in ROME, §3.4; tables print it ×100).

    The paper writes a weighted sum; the authors' code takes the mean of the two weighted terms, and so do we.
    """
    words = word_tokens(text)
    return float(np.mean([weight * ngram_entropy(words, n) for n, weight in NGRAM_WEIGHTS.items()]))


class _Snippet(BaseModel):
    name: str
    text: str


class _SnippetGroup(BaseModel):
    relation_id: str
    target_id: str
    samples: tuple[_Snippet, ...]


Snippets = Mapping[tuple[str, str], list[str]]


def read_snippets(path: str | Path) -> Snippets:
    """Read texts about entities that have an attribute, by (relation id, object id) (`attribute_snippets.json`).

    Raises:
        DataError: the file or one of its records cannot be read.
    """
    texts: dict[tuple[str, str], list[str]] = defaultdict(list)
    for group in read_records(path, _SnippetGroup, id_field="target_id"):
        texts[group.relation_id, group.target_id] += [snippet.text for snippet in group.samples]
    return dict(texts)


def fit_vectorizer(texts: Iterable[str]) -> TfidfVectorizer:
    """Fit scikit-learn's default TF-IDF on the reference texts, as the authors did on all attribute snippets."""
    return TfidfVectorizer().fit(texts)


def load_vectorizer(idf_path: str | Path, vocabulary_path: str | Path) -> TfidfVectorizer:
    """Build the authors' vectorizer from their `idf.npy` and `tfidf_vocab.json`.

    Raises:
        DataError: one of the files cannot be read or the two do not fit together; pickled arrays are refused.
    """
    try:
        idf = np.load(idf_path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise DataError(f"{idf_path}: not a plain numpy array ({error}); fetch it again") from error
    try:
        vocabulary = json.loads(Path(vocabulary_path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{vocabulary_path}: not a JSON vocabulary ({error}); fetch it again") from error
    if idf.shape != (len(vocabulary),):
        raise DataError(
            f"{idf_path} has shape {idf.shape}, {vocabulary_path} has {len(vocabulary)} terms; "
            "expected one weight per term: fetch both from the same release"
        )
    vectorizer = TfidfVectorizer(vocabulary=vocabulary)
    vectorizer.idf_ = idf
    return vectorizer


def reference_score(vectorizer: TfidfVectorizer, generated: Sequence[str], references: Sequence[str]) -> float:
    """Return the cosine of the TF-IDF vectors of all generated and all reference texts (RS in ROME, §3.4).

    Each side is joined to one text by spaces. NaN where a side has no known word, so that the case drops out of n.
    """
    sides = vectorizer.transform([" ".join(generated), " ".join(references)])
    cosine = (sides[0] @ sides[1].T).sum()
    norms = [np.sqrt(side.multiply(side).sum()) for side in (sides[0], sides[1])]
    return float(cosine / (norms[0] * norms[1])) if all(norms) else float("nan")


class ReferenceScorer:
    """Reference texts of each case and the vectorizer that compares with them."""

    def __init__(self, vectorizer: TfidfVectorizer, references: Mapping[int, Sequence[str]]):
        """Take reference texts by case id; a case without any has no reference score."""
        self._vectorizer = vectorizer
        self._references = references

    @classmethod
    def for_cases(
        cls, cases: Iterable[Case], snippets: Snippets, vectorizer: TfidfVectorizer | None = None
    ) -> "ReferenceScorer":
        """Look up the texts about entities that already have each case's new object.

        Args:
            cases: with relation and object ids.
            snippets: from `read_snippets`.
            vectorizer: the authors' one; else it is fitted on all of `snippets`.

        Raises:
            DataError: a case has no relation id or no id of its new object.
        """
        references = {}
        for case in cases:
            request = case.request
            if request.relation_id is None or request.target_new_id is None:
                raise DataError(
                    f"case_id {case.case_id}: relation_id is {request.relation_id!r} and the id of target_new is "
                    f"{request.target_new_id!r}; the reference score looks texts up by both: take a file that has "
                    "them or leave the reference score out"
                )
            references[case.case_id] = snippets.get((request.relation_id, request.target_new_id), [])
        if vectorizer is None:
            vectorizer = fit_vectorizer(text for texts in snippets.values() for text in texts)
        return cls(vectorizer, references)

    def score(self, case_id: int, generated: Sequence[str]) -> float:
        """Return the reference score of a case's generated texts, NaN if it has no reference texts.

        Raises:
            DataError: the case is unknown here.
        """
        if case_id not in self._references:
            raise DataError(f"case_id {case_id}: no reference texts were prepared; were rows and cases of one dataset?")
        references = self._references[case_id]
        return reference_score(self._vectorizer, generated, references) if references else float("nan")
