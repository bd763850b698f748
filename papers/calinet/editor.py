"""The method behind the door that all editors share: slots for requests, on a causal language model."""

from collections.abc import Sequence
from typing import Any

from papers.calinet.slots import SlotSettings, calibrate
from shared.data.requests import EditRequest
from shared.data.templates import fill
from shared.editing.editors import register
from shared.edits.deltas import Edit
from shared.errors import ConfigError
from shared.inference.text_batches import encode_row
from shared.model.models import LM


class CaliNetEditor:
    """CaliNet for edit requests: slots trained on the requests' own prompts with their new objects.

    Args:
        seed: of the slots' start and of the batches.
        settings: fields of `SlotSettings`.

    Raises:
        ConfigError: a setting is unknown or out of range.
    """

    name = "calinet"

    def __init__(self, seed: int = 0, **settings: Any):
        try:
            self.settings = SlotSettings(**settings)
        except TypeError as error:
            raise ConfigError(f"calinet: {error}") from error
        self.seed = seed

    def edit(self, lm: LM, requests: Sequence[EditRequest]) -> Edit:
        """Return one edit with slots that were trained on all requests at once."""
        rows = [encode_row(lm, fill(one.prompt, one.subject), one.target_new) for one in requests]
        return calibrate(lm, rows, self.settings, self.seed).edit()

    def edit_each(self, lm: LM, requests: Sequence[EditRequest]) -> list[Edit]:
        """Return one edit per request."""
        return [self.edit(lm, [request]) for request in requests]


register("calinet", CaliNetEditor)
