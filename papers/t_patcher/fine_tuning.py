"""The baselines that move weights: fine-tuning on each mistake in turn, with or without a divergence (§5.1).

FT(last) moves the weight matrices of the last block, FT(all) every parameter, by Adam until the answer is right. With
KL, the divergence from the unedited model on remembered examples joins the loss.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from papers.t_patcher.losses import divergence
from papers.t_patcher.patches import Patches
from papers.t_patcher.problem import Problem
from papers.t_patcher.settings import known_only
from papers.t_patcher.stream import Edit, Stream
from shared.errors import ConfigError, NumericalError
from shared.forward import token_batches
from shared.seeding import seed_for
from shared.text_batches import IGNORED, TextRow, answered, collate, predictions, token_nll

LAST, ALL = PARTS = ("last", "all")


@dataclass(frozen=True)
class TuningSettings:
    """How weights are moved.

    Attributes:
        part: `last`: the weight matrices of the last block; `all`: every parameter.
        lr: of Adam, which begins anew with every mistake.
        max_steps: updates of one mistake at most.
        kl_samples: remembered examples that the divergence is taken over; 0 leaves it out.
        kl_weight: its factor.
        kl_rows: of the samples, how many are drawn for each update; None takes all, as the authors do.
    """

    part: str = ALL
    lr: float | int = 1e-5
    max_steps: int = 2000
    kl_samples: int = 0
    kl_weight: float | int = 1.0
    kl_rows: int | None = None

    def __post_init__(self) -> None:
        if self.part not in PARTS:
            raise ConfigError(f"fine-tuning: part is {self.part!r}, expected one of {', '.join(PARTS)}")
        if not self.lr > 0 or self.max_steps < 1 or self.kl_samples < 0:
            raise ConfigError(
                f"fine-tuning: lr {self.lr}, max_steps {self.max_steps}, kl_samples {self.kl_samples}; expected a "
                "positive rate, at least one update, and zero or more samples"
            )

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> "TuningSettings":
        """Return settings from a mapping, such as a config's; an unknown name is a ConfigError."""
        return known_only(cls, given)


class Tuning:
    """Streams of mistakes, mended one stream after another by moving the model's weights.

    Args:
        problem, orders, seed: as `Editing` takes them; the seed draws the divergence's examples.
        settings: of the fine-tuning.
    """

    def __init__(
        self, problem: Problem, orders: Sequence[Sequence[int]], settings: TuningSettings | None = None, seed: int = 0
    ):
        self.problem, self.settings, self.seed = problem, settings or TuningSettings(), seed
        self.lm = problem.layer.lm
        none = Patches.none(problem.memory.shape[1], problem.memory.device)
        self.streams = [Stream(list(order), none) for order in orders]
        self.parameters = self._chosen()
        self.at_end: dict[str, float] = {}

    def _chosen(self) -> list[Tensor]:
        if self.settings.part == ALL:
            return list(self.lm.model.parameters())
        block = self.problem.layer.stack.block(self.problem.layer.layer)
        return [weight for name, weight in block.named_parameters() if weight.dim() > 1 and "bias" not in name]

    def mend(self, stream: Stream) -> Iterator[int]:
        """Mend one stream's mistakes and yield the number of edits after each; the weights are put back at the end.

        While the stream is being mended, `retained` tells of its current model; afterwards `at_end` holds what it told
        last.

        Cost: per update one forward and backward pass, over the mistake and the divergence's rows.
        """
        originals = [weight.detach().clone() for weight in self.parameters]
        required = [weight.requires_grad for weight in self.parameters]
        try:
            while stream.position < len(stream.order):
                example = stream.order[stream.position]
                stream.position += 1
                row = self.problem.edit_rows[example]
                if not self._right([row])[0]:
                    steps = self._tune(row, example)
                    stream.edits.append(self._edit(example, steps))
                    yield len(stream.edits)
            self.at_end = self.retained(stream)
        finally:
            with torch.no_grad():
                for weight, original, wanted in zip(self.parameters, originals, required, strict=True):
                    weight.copy_(original)
                    weight.requires_grad_(wanted)

    def _tune(self, row: TextRow, example: int) -> int:
        """Move the weights until the row is answered right, and return the number of updates."""
        settings = self.settings
        for weight in self.parameters:
            weight.requires_grad_(True)
        optimiser = torch.optim.Adam(self.parameters, lr=settings.lr)
        batch = collate(self.lm, [row])
        for step in range(settings.max_steps):
            with torch.enable_grad():
                logits = predictions(self.lm, batch)
                if bool(answered(logits.detach(), batch).all()):
                    return step
                loss = token_nll(logits, batch).sum() / len(row.target)
                if settings.kl_samples:
                    loss = loss + settings.kl_weight * self._kept_divergence(example, step)
                if not torch.isfinite(loss):
                    raise NumericalError(
                        f"fine-tuning on example {example}: the loss became {float(loss)}; lower lr ({settings.lr})"
                    )
                optimiser.zero_grad()
                loss.backward()
            optimiser.step()
        return settings.max_steps

    def _kept_divergence(self, example: int, step: int) -> Float[Tensor, ""]:
        """Return the mean divergence from the unedited model at the answers of remembered examples."""
        problem, settings = self.problem, self.settings
        count = min(settings.kl_samples, problem.remembered.n_rows)
        chosen = list(range(count))
        if settings.kl_rows is not None and settings.kl_rows < count:
            generator = torch.Generator().manual_seed(seed_for("t_patcher", "kl", self.seed, example, step))
            chosen = torch.randperm(count, generator=generator)[: settings.kl_rows].tolist()
        before = problem.remembered.of_rows(chosen)
        batch = collate(self.lm, [problem.remembered_rows[row] for row in chosen])
        logits = predictions(self.lm, batch)
        rows, places = (batch.labels != IGNORED).nonzero(as_tuple=True)
        after = logits[rows, places]
        with torch.no_grad():
            unedited = problem.layer.logits(before.summed)
        return divergence(unedited[None], after[None], problem.layer.binary).mean()

    @torch.no_grad()
    def _edit(self, example: int, steps: int) -> Edit:
        problem = self.problem
        wordings = [problem.rephrase_rows[row] for row in problem.rephrases_of[example]]
        right = self._right([problem.edit_rows[example], *wordings])
        return Edit(example, bool(right[0]), len(wordings), int(right[1:].sum()), 0, steps)

    @torch.no_grad()
    def _right(self, rows: Sequence[TextRow], max_tokens: int = 8192) -> Bool[Tensor, " row"]:
        found = torch.zeros(len(rows), dtype=torch.bool, device=self.lm.device)
        for indices in token_batches([len(row.source) + len(row.target) for row in rows], max_tokens):
            batch = collate(self.lm, [rows[index] for index in indices])
            found[indices] = answered(predictions(self.lm, batch), batch)
        return found

    def retained(self, stream: Stream) -> dict[str, float]:
        """Return ER, and accuracies on what shall be answered as before, of the model as it is now."""
        rows = dict(self.problem.set_rows)
        if stream.edits:
            rows["edited"] = [self.problem.edit_rows[edit.example] for edit in stream.edits]
        return {name: float(self._right(own).double().mean()) for name, own in rows.items()}
