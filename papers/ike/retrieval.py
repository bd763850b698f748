"""Which records of the pool are nearest to the facts to be edited (Zheng et al. 2023, §3.2.2).

Texts become unit vectors; nearness is their product, for all queries and all records at once. The paper encodes with
all-MiniLM-L6-v2 (mean-pooled, 384 numbers); TF-IDF of words is the encoder that needs no download.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int

from shared.data.requests import EditRequest
from shared.data.templates import fill
from shared.errors import ConfigError, DataError

_ROWS = 1024  # queries whose nearness to the whole pool is held at a time


@runtime_checkable
class Encoder(Protocol):
    """Turns texts into rows of unit length, dense or sparse."""

    def fit(self, texts: Sequence[str]) -> None:
        """Learn from the pool what has to be learned."""
        ...

    def encode(self, texts: Sequence[str]) -> Any:
        """Return one unit row per text."""
        ...


class TfidfEncoder:
    """Words weighted by their rarity in the pool, with sublinear counts, as sparse unit rows."""

    def __init__(self) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer

        # The default pattern would drop words of one letter.
        self._vectorizer = TfidfVectorizer(sublinear_tf=True, token_pattern=r"\w+")

    def fit(self, texts: Sequence[str]) -> None:
        """Learn the words and their rarity."""
        self._vectorizer.fit(texts)

    def encode(self, texts: Sequence[str]) -> Any:
        """Return sparse unit rows; a text of unknown words is a row of zeros."""
        return self._vectorizer.transform(texts)


class SentenceEncoder:
    """A transformer whose last hidden states are averaged over the tokens, as all-MiniLM-L6-v2 is meant to be used.

    Args:
        model: hub id or folder.
        device: where it runs.
        batch: texts per pass.
        max_length: tokens of a text that count (256 in the published model).
    """

    def __init__(self, model: str, device: str = "cpu", batch: int = 256, max_length: int = 256):
        from transformers import AutoModel, AutoTokenizer

        try:
            self._tokenizer = AutoTokenizer.from_pretrained(model)
            self._model = AutoModel.from_pretrained(model).eval().to(device)
        except OSError as error:
            raise ConfigError(
                f"sentence encoder {model!r} cannot be loaded ({str(error).splitlines()[0]}); "
                "give a hub id, a folder, or tfidf"
            ) from error
        self._device, self._batch, self._max_length = device, batch, max_length

    def fit(self, texts: Sequence[str]) -> None:
        """Do nothing: the encoder is trained already."""

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Return dense unit rows."""
        import torch

        rows = []
        with torch.no_grad():
            for first in range(0, len(texts), self._batch):
                words = self._tokenizer(
                    list(texts[first : first + self._batch]),
                    padding=True,
                    truncation=True,
                    max_length=self._max_length,
                    return_tensors="pt",
                ).to(self._device)
                hidden = self._model(**words).last_hidden_state
                counted = words["attention_mask"][..., None].to(hidden)
                mean = (hidden * counted).sum(1) / counted.sum(1)
                rows.append(torch.nn.functional.normalize(mean, dim=-1).float().cpu().numpy())
        return np.concatenate(rows)


def make_encoder(encoder: str | Mapping[str, Any]) -> Encoder:
    """Return `tfidf`, or the sentence encoder that {model, device, ...} describes.

    Raises:
        ConfigError: another name, or a setting that the encoder does not have.
    """
    if encoder == "tfidf":
        return TfidfEncoder()
    if isinstance(encoder, Mapping) and "model" in encoder:
        try:
            return SentenceEncoder(**encoder)
        except TypeError as error:
            raise ConfigError(f"encoder {dict(encoder)}: {error}") from error
    raise ConfigError(
        f"encoder {encoder!r} is unknown; choose tfidf, or {{model: sentence-transformers/all-MiniLM-L6-v2}}"
    )


def retrieval_text(request: EditRequest, objects: bool = True) -> str:
    """Return what stands for a fact: the filled prompt and, as in the paper, its original and its new object.

    Args:
        objects: False leaves the objects out, as the queries of the authors' semantic_search.py do.
    """
    words = [fill(request.prompt, request.subject)]
    if objects:
        words += [request.target_true or "", request.target_new]
    return " ".join(filter(None, words))


class Pool:
    """Encoded records, ready for nearest-neighbour queries.

    Args:
        requests: of the pool's records.
        encoder: fitted on them here.
        objects: see `retrieval_text`.
    """

    def __init__(self, requests: Sequence[EditRequest], encoder: Encoder, *, objects: bool = True):
        self.requests, self._encoder, self._objects = list(requests), encoder, objects
        texts = [retrieval_text(request, objects) for request in self.requests]
        encoder.fit(texts)
        self._rows = encoder.encode(texts)
        self._facts: dict[tuple[str, str], list[int]] = {}
        for place, request in enumerate(self.requests):
            self._facts.setdefault(fact_key(request), []).append(place)

    def allowed(self, request: EditRequest) -> int:
        """Return how many records may stand in a context for `request`: all that are not about the same fact."""
        return len(self.requests) - len(self._facts.get(fact_key(request), ()))

    def nearest(self, queries: Sequence[EditRequest], k: int) -> Int[np.ndarray, "query k"]:
        """Return the places of the `k` nearest records per query, nearest first; equal ones in the pool's order.

        Records about the query's own fact (its subject and relation) are never among them.

        Raises:
            DataError: the pool has fewer than `k` other records.

        Cost: one product of the queries' and the records' matrices (in blocks of 1,024 queries).
        """
        found = np.empty((len(queries), k), dtype=np.int64)
        for first in range(0, len(queries), _ROWS):
            block = queries[first : first + _ROWS]
            product = self._encoder.encode([retrieval_text(query, self._objects) for query in block]) @ self._rows.T
            nearness = np.asarray(product.todense() if hasattr(product, "todense") else product, dtype=np.float32)
            for row, query in enumerate(block):
                require_records(query, self.allowed(query), k)
                nearness[row, self._facts.get(fact_key(query), [])] = -np.inf
            found[first : first + len(block)] = _largest(nearness, k)
        return found


def fact_key(request: EditRequest) -> tuple[str, str]:
    """Return what tells facts apart: the subject and the relation, or its wording where no relation is given."""
    return request.subject, request.relation_id or request.prompt


def require_records(request: EditRequest, present: int, k: int) -> None:
    """Refuse a pool with fewer than `k` records that may stand in the context of `request`.

    Raises:
        DataError: naming the case.
    """
    if present < k:
        raise DataError(f"case_id {request.case_id}: the pool has {present} records about other facts, {k} are wanted")


def _largest(values: np.ndarray, k: int) -> np.ndarray:
    """Return the columns of each row's `k` largest values, largest first, ties by column."""
    if k == 0:
        return np.empty((len(values), 0), dtype=np.int64)
    bound = np.partition(values, -k, axis=1)[:, -k]
    found = np.empty((len(values), k), dtype=np.int64)
    for row, (line, least) in enumerate(zip(values, bound, strict=True)):
        columns = np.flatnonzero(line >= least)
        found[row] = columns[np.argsort(-line[columns], kind="stable")][:k]
    return found
