"""The method behind the door that all editors share: neurons for requests, on a causal language model.

A request is a mistake whose right answer is its new object. What the patches must leave alone is remembered from the
cases that other examples are taken from.
"""

from collections.abc import Sequence
from typing import Any

import torch

from papers.t_patcher.memory import Inputs, RememberedInputs
from papers.t_patcher.patches import Patches
from papers.t_patcher.settings import PatchSettings
from papers.t_patcher.training import Mistake, fit
from shared.data.requests import Case, EditRequest
from shared.data.templates import fill
from shared.editing.editors import register
from shared.edits.deltas import UNEDITED, Edit
from shared.errors import ConfigError
from shared.inference.last_layer import LastLayer
from shared.inference.text_batches import encode_row
from shared.model.models import LM


class TPatcherEditor:
    """Transformer-Patcher for edit requests.

    Args:
        pool: cases whose true statements are remembered, but for those about the edited subjects.
        memory: how many of them train a patch; as many more, where there are, tell when to stop.
        seed: of the values' starts.
        settings: as `PatchSettings`; `memory_loss: kl` is for streams only.

    Raises:
        ConfigError: a setting is unknown, or there are too few cases to remember.
    """

    name = "t_patcher"

    def __init__(self, pool: Sequence[Case] = (), memory: int = 1000, seed: int = 0, **settings: Any):
        self.settings = PatchSettings.of(settings)
        self.pool, self.memory, self.seed = list(pool), memory, seed
        if self.settings.memory_loss == "kl":
            raise ConfigError("memory_loss kl needs a stream of edits; choose full, first_only or none")
        if self.settings.memory_loss != "none" and not any(case.request.target_true for case in self.pool):
            raise ConfigError("t_patcher has nothing to remember: hand it a pool of cases with true objects")

    def edit(self, lm: LM, requests: Sequence[EditRequest]) -> Edit:
        """Return one edit with the patches of all requests, made one after another."""
        layer, patches = LastLayer(lm), Patches.none(lm.arch.d_model, lm.device)
        steps = 0
        for request in requests:
            made = self._fit(layer, [request], patches)
            patches = patches.added(one.patches for one in made)
            steps += sum(one.steps for one in made)
        return _edit_of(layer, patches, steps)

    def edit_each(self, lm: LM, requests: Sequence[EditRequest]) -> list[Edit]:
        """Return one edit per request, trained side by side; a request that already holds gets none."""
        layer, none = LastLayer(lm), Patches.none(lm.arch.d_model, lm.device)
        by_case = {one.patches.owner[0]: one for one in self._fit(layer, requests, none)}
        return [
            _edit_of(layer, by_case[index].patches, by_case[index].steps) if index in by_case else UNEDITED
            for index in range(len(requests))
        ]

    def _fit(self, layer: LastLayer, requests: Sequence[EditRequest], before: Patches) -> list:
        lm = layer.lm
        rows = [encode_row(lm, fill(one.prompt, one.subject), one.target_new) for one in requests]
        states = layer.observe(rows)
        mistakes = []
        with torch.no_grad():
            for index in range(len(rows)):
                own = states.of_rows([index])
                summed = before.patched(own.query, own.summed, layer.activation)
                wrong = (layer.predicted(own, summed) != own.label).nonzero()[:, 0].tolist()
                if wrong:
                    chosen = tuple(wrong[: self.settings.max_patches])
                    mistakes.append(Mistake(index, own.query, summed, own.label, chosen, rows[index]))
        keeper = None
        if mistakes and self.settings.memory_loss != "none":
            keeper = self._keeper(layer, requests, len(mistakes))
        return fit(layer, mistakes, keeper, self.settings, self.seed)

    def _keeper(self, layer: LastLayer, requests: Sequence[EditRequest], lines: int) -> RememberedInputs:
        lm = layer.lm
        edited = {request.subject for request in requests}
        told = [case.request for case in self.pool if case.request.target_true and case.request.subject not in edited]
        if len(told) < 2:
            raise ConfigError(f"t_patcher has {len(told)} cases about other subjects to remember, expected at least 2")
        rows = [encode_row(lm, fill(one.prompt, one.subject), one.target_true) for one in told]
        count = min(self.memory, len(rows) // 2)
        train, held_out = (Inputs(layer.observe(part).query) for part in (rows[:count], rows[count : 2 * count]))
        none = (train.rows[:0],) * lines
        return RememberedInputs(train, held_out, none, self.settings.remembered_loss(), self.settings.repeat)


def _edit_of(layer: LastLayer, patches: Patches, steps: int) -> Edit:
    if not len(patches):
        return UNEDITED
    neurons = layer.neurons(patches.key, patches.bias, patches.value)
    return Edit((), {"patches": len(patches), "steps": steps}, kind="neurons", neurons=(neurons,))


register("t_patcher", TPatcherEditor, takes=("pool",))
