"""A control: another method's change with random directions of the same norms, at the same places.

What the method gains over it is owed to what it writes, not to how much and into which maps.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch

from shared.data.requests import EditRequest
from shared.editing.editors import Editor
from shared.edits.deltas import Edit, WeightDelta
from shared.errors import ConfigError
from shared.model.models import LM
from shared.seeding import seed_for


class RandomDirection:
    """Replaces every weight change of another editor by a random one of rank one and the same Frobenius norm.

    Args:
        editor: whose changes are replaced.
        seed: of the directions, together with the case of an edit's first request.
    """

    name = "random"

    def __init__(self, editor: Editor, seed: int = 0):
        self._editor, self._seed = editor, seed

    def edit(self, lm: LM, requests: Sequence[EditRequest]) -> Edit:
        """Return one change in the place of the editor's for all requests.

        Raises:
            ConfigError: the editor's change is no change of weights.
        """
        return self._drawn(self._editor.edit(lm, requests), requests[0].case_id)

    def edit_each(self, lm: LM, requests: Sequence[EditRequest]) -> list[Edit]:
        """Return one change per request.

        Raises:
            ConfigError: as `edit`.
        """
        made = self._editor.edit_each(lm, requests)
        return [self._drawn(edit, request.case_id) for edit, request in zip(made, requests, strict=True)]

    def _drawn(self, edit: Edit, case_id: int) -> Edit:
        if edit.kind != "weights" or any(delta.matrix() is None for delta in edit.deltas):
            raise ConfigError(f"{self._editor.name} changes no weights that random ones could stand for")
        return replace(edit, deltas=tuple(self._random(delta, case_id) for delta in edit.deltas))

    def _random(self, delta: WeightDelta, case_id: int) -> WeightDelta:
        matrix = delta.matrix()
        rng = torch.Generator().manual_seed(seed_for("survey", "random", self._seed, case_id, delta.module))
        left, right = (torch.randn(size, generator=rng).to(matrix) for size in matrix.shape)
        return WeightDelta(delta.module, (left * (delta.norm() / left.norm()))[:, None], (right / right.norm())[None])
