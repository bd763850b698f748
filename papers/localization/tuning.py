"""FT-1 and FT-5: constrained fine-tuning of the MLP down projections in a window of layers (§5.2, App. A)."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from shared.data.requests import EditRequest
from shared.editing.editors import register
from shared.edits.deltas import Edit
from shared.errors import ConfigError
from shared.fit.finetune import TuningProblem, TuningSettings, finetune, finetune_jointly
from shared.fit.fitting import Objective, Row, joint_probability, summed_nll, teacher_forced
from shared.model.models import LM
from shared.model.tokens import Prompt, encode_prompt, target_ids
from shared.traces.subject_noise import NoiseSource, SubjectNoise

OBJECTIVES: dict[str, Objective] = {"maximise": summed_nll, "minimise": joint_probability}


class WindowTuningEditor:
    """Adam on weight and bias of the down projection of every layer of a window.

    The loss is the negative log-probability of the target, teacher-forced and summed over its tokens and over the
    noised copies of the prompt; or, to erase a fact, the target's joint probability. An edit whose loss is below 0.01
    makes no update, and ends after `patience` such epochs.

    Args:
        layers: the window.
        objective: `maximise` or `minimise` the target's probability.
        subject_noise: corrupts the subject in each of `copies` copies of the prompt (Fact Forcing).
        copies: noised copies per edit (the paper: 10); one where nothing is corrupted.
        max_bytes: bound on the optimiser's memory for edits computed together.
        settings: fields of `TuningSettings`.

    Raises:
        ConfigError: no layer, or settings out of range.
    """

    name = "window_ft"

    def __init__(
        self,
        *,
        layers: Sequence[int],
        objective: str = "maximise",
        subject_noise: SubjectNoise | Mapping[str, Any] | None = None,
        copies: int = 10,
        patience: int = 5,
        max_bytes: int = 2**31,
        **settings: Any,
    ):
        self.layers, self.max_bytes = sorted(set(layers)), max_bytes
        if not self.layers or self.layers[0] < 0:
            raise ConfigError(f"{self.name}: layers is {self.layers}, expected one or more layer numbers from 0")
        if objective not in OBJECTIVES:
            raise ConfigError(f"{self.name}: objective is {objective!r}, expected one of {', '.join(OBJECTIVES)}")
        if copies < 1:
            raise ConfigError(f"{self.name}: copies is {copies}, expected at least 1")
        self.objective, self.copies = objective, copies
        self.subject_noise = SubjectNoise.of(subject_noise)
        self.settings = TuningSettings(patience=patience, **settings)

    def _places(self, lm: LM) -> list[tuple[int, nn.Module]]:
        return [(layer, lm.arch.mlp_out(layer)) for layer in self.layers]

    def problem(self, lm: LM, request: EditRequest) -> TuningProblem:
        """Return what one request is fitted to: its prompt and target, or noised copies of them."""
        prompt, target = encode_prompt(lm, request.prompt, request.subject), target_ids(lm, request.target_new)
        case = str(request.case_id)
        if self.subject_noise is None:
            return TuningProblem(case, [_row(prompt, target)])
        source, copies = NoiseSource(self.subject_noise, prompt, lm.arch.d_model), [prompt] * self.copies
        if self.subject_noise.redrawn:
            return TuningProblem(case, [_row(prompt, target)] * self.copies, lambda: source.draw(copies))
        return TuningProblem(case, [_row(copy, target) for copy in source.corrupt(copies)])

    def edit(self, lm: LM, requests: Sequence[EditRequest]) -> Edit:
        """Return one change fitted to all requests (not in the paper, which edits one fact at a time).

        Raises:
            ConfigError: the noise is redrawn in every epoch, which only single edits do.
        """
        problems = [self.problem(lm, request) for request in requests]
        if any(problem.fresh_noise is not None for problem in problems):
            raise ConfigError(f"{self.name}: noise that is redrawn needs single edits (edit_each)")
        rows = [row for problem in problems for row in problem.rows]
        return finetune_jointly(
            lm, self._places(lm), rows, settings=self.settings, objective=OBJECTIVES[self.objective]
        )

    def edit_each(self, lm: LM, requests: Sequence[EditRequest]) -> list[Edit]:
        """Return one independent change per request, fitted side by side."""
        return finetune(
            lm,
            self._places(lm),
            [self.problem(lm, request) for request in requests],
            settings=self.settings,
            objective=OBJECTIVES[self.objective],
            max_bytes=self.max_bytes,
        )


def _row(prompt: Prompt, target: Sequence[int]) -> Row:
    return teacher_forced(prompt.ids, target, prompt.noise)


register(WindowTuningEditor.name, WindowTuningEditor)
