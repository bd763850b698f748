"""The ways to calibrate a model: not at all, by slots, by continued pretraining."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from typing import Any

from papers.calinet.calibration_facts import CalibrationFact
from papers.calinet.continued_pretraining import PretrainingSettings, pretrained
from papers.calinet.slots import Slots, SlotSettings, calibrate, statements
from shared.edits.deltas import applied
from shared.errors import ConfigError
from shared.model.models import LM

VANILLA, CALINET, PRETRAINED = METHODS = ("vanilla", "calinet", "cp")


def settings_of(kind: type, given: dict[str, Any]) -> Any:
    """Return a dataclass of settings from a mapping; an unknown name is a ConfigError."""
    known = [field.name for field in fields(kind)]
    if unknown := sorted(set(given) - set(known)):
        raise ConfigError(f"settings {unknown} of {kind.__name__} are unknown; expected some of {known}")
    return kind(**given)


@contextmanager
def calibrated(
    lm: LM, method: str, settings: dict[str, Any], facts: Sequence[CalibrationFact], seed: int
) -> Iterator[Slots | None]:
    """Hold the model calibrated by one method inside the context; yields the slots, if it has any.

    Raises:
        ConfigError: the method or one of its settings is unknown.
    """
    if method == CALINET:
        slots = calibrate(lm, statements(lm, facts), settings_of(SlotSettings, settings), seed)
        with applied(lm, slots.edit()):
            yield slots
    elif method == PRETRAINED:
        with pretrained(lm, statements(lm, facts), settings_of(PretrainingSettings, settings), seed):
            yield None
    elif method == VANILLA:
        yield None
    else:
        raise ConfigError(f"method {method!r} is unknown; expected one of {', '.join(METHODS)}")
