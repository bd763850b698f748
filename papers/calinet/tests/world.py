"""A small world with a random decoder that reads its names, for tests."""

from functools import cache

from papers.calinet.calibration_facts import CalibrationFact, calibration_facts
from shared.model.models import LM
from shared.tests.tiny import tiny_lm
from shared.world.factbook import FactBook
from shared.world.generate import WorldConfig, generate_world


@cache
def small_book() -> FactBook:
    """Return a world of a few people."""
    return generate_world(WorldConfig(people=40))


def facts(count: int = 6) -> list[CalibrationFact]:
    """Return the first facts of its calibration data."""
    return calibration_facts(small_book(), 0.5, 0, count)


def decoder() -> LM:
    """Return a random decoder."""
    return tiny_lm("gpt2")
