"""Fine-tuning as an editor: what the papers' FT baselines share, whatever modules they tune."""

from collections.abc import Callable, Sequence
from typing import Any

from torch import nn

from shared.data.requests import EditRequest
from shared.edits.deltas import Edit
from shared.errors import ConfigError, DataError
from shared.fit.finetune import TuningProblem, TuningSettings, finetune, finetune_jointly
from shared.fit.fitting import Row
from shared.model.models import LM, Architecture
from shared.model.tokens import encode_prompt, target_ids

Modules = Callable[[Architecture, int], list[nn.Module]]


def tuning_row(lm: LM, request: EditRequest) -> Row:
    """Return the prompt with all target tokens read from the one next-token distribution at its end.

    The authors' code pushes a target of several tokens up at that single position instead of teacher-forcing it, and
    masks unknown-word tokens out.

    Raises:
        DataError: if no token of the target is left.
    """
    prompt = encode_prompt(lm, request.prompt, request.subject)
    tokens = [token for token in target_ids(lm, request.target_new) if token != lm.tokenizer.unk_token_id]
    if not tokens:
        raise DataError(f"case {request.case_id}: target_new {request.target_new!r} has only unknown tokens")
    return Row(prompt.ids, [len(prompt.ids) - 1] * len(tokens), tokens)


class FineTuningEditor:
    """Adam on the weights and biases of chosen modules of a layer.

    Args:
        name: key of the method.
        modules: which modules of a layer are tuned.
        layer: edited layer, from 0; or `layers` for several at once.
        max_bytes: bound on the optimiser's memory for edits computed together.
        settings: fields of `TuningSettings`.

    Raises:
        ConfigError: no layer, or settings out of range.
    """

    def __init__(
        self,
        name: str,
        modules: Modules,
        *,
        layer: int | None = None,
        layers: Sequence[int] = (),
        max_bytes: int = 2**31,
        **settings: Any,
    ):
        self.name, self.settings, self.max_bytes = name, TuningSettings(**settings), max_bytes
        self.layers = sorted({*layers} if layer is None else {*layers, layer})
        if not self.layers or self.layers[0] < 0:
            raise ConfigError(f"{name}: layers is {self.layers}, expected one or more layer numbers from 0")
        self._modules = modules

    def _places(self, lm: LM) -> list[tuple[int, nn.Module]]:
        return [(layer, module) for layer in self.layers for module in self._modules(lm.arch, layer)]

    def settings_for(self, count: int) -> TuningSettings:
        """Return the settings with which `count` requests are fitted together."""
        return self.settings

    def edit(self, lm: LM, requests: Sequence[EditRequest]) -> Edit:
        """Return one change fitted to all requests, in minibatches in their order."""
        rows = [tuning_row(lm, request) for request in requests]
        return finetune_jointly(lm, self._places(lm), rows, settings=self.settings_for(len(rows)))

    def edit_each(self, lm: LM, requests: Sequence[EditRequest]) -> list[Edit]:
        """Return one independent change per request, fitted side by side."""
        problems = [TuningProblem(str(request.case_id), [tuning_row(lm, request)]) for request in requests]
        return finetune(lm, self._places(lm), problems, settings=self.settings_for(1), max_bytes=self.max_bytes)
