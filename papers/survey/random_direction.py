"""A control: ROME's change with random directions of the same norms, at the same place.

What a method gains over it is owed to where it writes and what, not to how much it writes.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from shared.data.requests import EditRequest
from shared.editing.editors import Editor
from shared.edits.deltas import Edit, WeightDelta, merge
from shared.errors import ConfigError
from shared.model.models import LM
from shared.seeding import seed_for


class RandomDirection:
    """Replaces both factors of every low-rank change of another editor by random ones of the same norms.

    Args:
        editor: whose changes are replaced.
        seed: of the directions, together with the request's case.
    """

    name = "random"

    def __init__(self, editor: Editor, seed: int = 0):
        self._editor, self._seed = editor, seed

    def edit(self, lm: LM, requests: Sequence[EditRequest]) -> Edit:
        """Return the sum of the requests' own changes."""
        return merge(self.edit_each(lm, requests))

    def edit_each(self, lm: LM, requests: Sequence[EditRequest]) -> list[Edit]:
        """Return one change per request.

        Raises:
            ConfigError: the other editor makes a change that has no factors.
        """
        made = self._editor.edit_each(lm, requests)
        return [
            replace(edit, deltas=tuple(self._random(delta, request.case_id) for delta in edit.deltas))
            for edit, request in zip(made, requests, strict=True)
        ]

    def _random(self, delta: WeightDelta, case_id: int) -> WeightDelta:
        if delta.left is None:
            raise ConfigError(f"the change of {delta.module} has no factors that random ones could stand for")
        rng = torch.Generator().manual_seed(seed_for("survey", "random", self._seed, case_id, delta.module))
        left, right = (_of_norms(factor, dim, rng) for factor, dim in ((delta.left, 0), (delta.right, 1)))
        return replace(delta, left=left, right=right)


def _of_norms(factor: Tensor, dim: int, rng: torch.Generator) -> Tensor:
    """Return normal draws whose vectors along `dim` are as long as those of `factor`."""
    drawn = torch.randn(factor.shape, generator=rng).to(factor)
    return drawn * factor.norm(dim=dim, keepdim=True) / drawn.norm(dim=dim, keepdim=True)
