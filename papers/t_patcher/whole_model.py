"""Streams of mistakes that are mended by changing the model itself, which is then asked by whole passes (§5.1)."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from papers.t_patcher.patches import Patches
from papers.t_patcher.problem import Problem
from papers.t_patcher.stream import Edit, Stream
from shared.inference.text_batches import TextBatch, TextRow, answered, collate, predictions
from shared.model.forward import token_batches


class WholeModelStreams(ABC):
    """Streams of mistakes, mended one stream after another by a baseline.

    Args:
        problem, orders, seed: as `Editing` takes them.

    Attributes:
        at_end: what `retained` told of the model at the end of the last stream.
    """

    def __init__(self, problem: Problem, orders: Sequence[Sequence[int]], seed: int = 0):
        self.problem, self.seed = problem, seed
        self.lm = problem.layer.lm
        none = Patches.none(problem.memory.shape[1], problem.memory.device)
        self.streams = [Stream(list(order), none) for order in orders]
        self.at_end: dict[str, float] = {}

    @abstractmethod
    def weights(self) -> list[Tensor]:
        """Return the weights that mending moves."""

    @abstractmethod
    def mend_one(self, row: TextRow, example: int) -> int:
        """Mend one mistake of the model as it is now, and return the number of updates."""

    def logits(self, batch: TextBatch) -> Float[Tensor, "row pos out"]:
        """Return the predictions of the model as it is now."""
        return predictions(self.lm, batch)

    def mend(self, stream: Stream) -> Iterator[int]:
        """Mend one stream's mistakes and yield the number of edits after each; the weights are put back at the end.

        While the stream is being mended, `retained` tells of its current model; afterwards `at_end` holds what it told
        last.

        Cost: per mistake what `mend_one` costs, and one pass over it and its other wordings.
        """
        moved = self.weights()
        originals = [weight.detach().clone() for weight in moved]
        required = [weight.requires_grad for weight in moved]
        try:
            while stream.position < len(stream.order):
                example = stream.order[stream.position]
                stream.position += 1
                row = self.problem.edit_rows[example]
                if not self.right([row])[0]:
                    steps = self.mend_one(row, example)
                    stream.edits.append(self._edit(example, steps))
                    yield len(stream.edits)
            self.at_end = self.retained(stream)
        finally:
            with torch.no_grad():
                for weight, original, wanted in zip(moved, originals, required, strict=True):
                    weight.copy_(original)
                    weight.requires_grad_(wanted)

    def _edit(self, example: int, steps: int) -> Edit:
        problem = self.problem
        wordings = [problem.rephrase_rows[row] for row in problem.rephrases_of[example]]
        right = self.right([problem.edit_rows[example], *wordings])
        return Edit(example, bool(right[0]), len(wordings), int(right[1:].sum()), 0, steps)

    @torch.no_grad()
    def right(self, rows: Sequence[TextRow], max_tokens: int = 8192) -> Bool[Tensor, " row"]:
        """Return whether the model, as it is now, answers each row."""
        found = torch.zeros(len(rows), dtype=torch.bool, device=self.lm.device)
        for indices in token_batches([len(row.source) + len(row.target) for row in rows], max_tokens):
            batch = collate(self.lm, [rows[index] for index in indices])
            found[indices] = answered(self.logits(batch), batch)
        return found

    def retained(self, stream: Stream) -> dict[str, float]:
        """Return ER, and accuracies on what shall be answered as before, of the model as it is now."""
        rows = dict(self.problem.set_rows)
        if stream.edits:
            rows["edited"] = [self.problem.edit_rows[edit.example] for edit in stream.edits]
        return {name: float(self.right(own).double().mean()) for name, own in rows.items()}
