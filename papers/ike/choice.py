"""Which demonstrations stand in the context of an edit, and in which order. Nothing here needs a model."""

import random
from collections.abc import Sequence

from papers.ike.cleaning import cleaned
from papers.ike.demonstrations import Demonstration, demonstrate, kinds_of
from papers.ike.hyperparams import IkeHyperparams
from papers.ike.retrieval import Pool, fact_key, make_encoder, require_records
from shared.data.requests import Case, EditRequest
from shared.errors import ConfigError
from shared.seeding import seed_for


class Chooser:
    """Chooses demonstrations.

    Args:
        pool: records that demonstrations are taken from; those about a request's own fact are never used. Their
            paraphrases are cleaned here, wherever the pool comes from; cleaning once more changes nothing.
        settings: how they are chosen.

    Raises:
        ConfigError: demonstrations are wanted, and the pool is empty.
    """

    def __init__(self, pool: Sequence[Case], settings: IkeHyperparams):
        self.cases, self.settings = [cleaned(case) for case in pool], settings
        if settings.k and not self.cases:
            raise ConfigError(f"ike: {settings.k} demonstrations are wanted, and no pool of records was given")
        self._pool: Pool | None = None

    def choose(self, requests: Sequence[EditRequest]) -> list[list[Demonstration]]:
        """Return each request's demonstrations, in the order in which they stand in its context.

        The draws of a request depend on its fact and the seed alone.

        Raises:
            DataError: the pool is too small, or a record lacks a prompt that it is to demonstrate.
        """
        settings = self.settings
        if settings.k == 0:
            return [[] for _ in requests]
        if self._pool is None:
            encoder = make_encoder(settings.encoder)
            self._pool = Pool([case.request for case in self.cases], encoder, objects=settings.encode_objects)
        if settings.selection == "similar":
            places = self._pool.nearest(requests, settings.k).tolist()
        else:
            places = [self._random_places(request) for request in requests]
        return [self._demonstrations(*pair) for pair in zip(requests, places, strict=True)]

    def _rng(self, request: EditRequest, purpose: str) -> random.Random:
        return random.Random(
            seed_for("ike", self.settings.seed, purpose, request.case_id, request.subject, request.prompt)
        )

    def _random_places(self, request: EditRequest) -> list[int]:
        others = [place for place, case in enumerate(self.cases) if fact_key(case.request) != fact_key(request)]
        require_records(request, len(others), self.settings.k)
        return self._rng(request, "selection").sample(others, self.settings.k)

    def _demonstrations(self, request: EditRequest, places: Sequence[int]) -> list[Demonstration]:
        rng, settings = self._rng(request, "demonstrations"), self.settings
        # As in the authors' code, kinds go with the records nearest first, and then all is turned around.
        kinds = kinds_of(len(places), settings.ratio, settings.order, rng)
        found = [demonstrate(self.cases[place], kind, rng) for place, kind in zip(places, kinds, strict=True)][::-1]
        if settings.arrangement == "random":
            self._rng(request, "arrangement").shuffle(found)
        return found
