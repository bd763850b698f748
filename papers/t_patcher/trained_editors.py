"""Other papers' trained editors on streams of mistakes: one edit after another, each made of the model as it is then.

`TrainedStreams` adds the change of every edit to the weights (MEND, KnowledgeEditor). `HeldStreams` hands all edits
made so far to a method that leaves the weights alone and answers from them (SERAC).
"""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from papers.t_patcher.problem import Problem
from papers.t_patcher.stream import Stream
from papers.t_patcher.whole_model import WholeModelStreams
from shared.errors import ConfigError, NumericalError
from shared.inference.text_batches import TextBatch, TextRow, collate
from shared.inference.verdicts import REFUTES, SUPPORTS
from shared.learning.edit_examples import EditExample
from shared.learning.edit_pools import Rows, condition_ids
from shared.learning.edit_success import Method
from shared.learning.learned_editors import Edits, build_direct, direct_methods, load_learned
from shared.model.models import Architecture

log = logging.getLogger(__name__)


class TrainedStreams(WholeModelStreams):
    """Streams mended by a learned editor that changes weights.

    Args:
        problem, orders, seed: as `Editing` takes them.
        file: the trained editor.

    Raises:
        ModelError: it was trained on another model.
    """

    def __init__(self, problem: Problem, orders: Sequence[Sequence[int]], file: Path, seed: int = 0):
        super().__init__(problem, orders, seed)
        self.editor = load_learned(file, self.lm)

    def weights(self) -> list[Tensor]:
        """Return the weights of the maps that the editor changes."""
        return [self.lm.model.get_submodule(name).weight for name in self.editor.modules_edited]

    def mend_one(self, row: TextRow, example: int) -> int:
        """Add the editor's change for one mistake. One that is not finite is left out, and its mistake not mended."""
        edits = Edits.of(self.lm, [[(row, self._condition(row, example))]])
        with torch.no_grad():
            try:
                changes = self.editor.changes(self.lm, edits)
                found = {name: change.delta(name, 0).matrix() for name, change in changes.items()}
            except NumericalError as error:
                log.warning("example %d is left as it is: %s", example, error)
                return 1
            for name, matrix in found.items():
                module = self.lm.model.get_submodule(name)
                module.weight += matrix if Architecture.input_first(module) else matrix.T
        return 1

    def _condition(self, row: TextRow, example: int) -> tuple[int, ...]:
        """Return what KnowledgeEditor reads: the answer of the model as it is now, the right one, and the input."""
        own = self.problem.sources.edit[example]
        if self.problem.layer.binary:
            old = REFUTES if own.target == SUPPORTS else SUPPORTS
        else:
            batch = collate(self.lm, [row])
            with torch.no_grad():
                said = self.logits(batch)[batch.labels >= 0].argmax(-1)
            old = self.lm.tokenizer.decode(said.tolist(), skip_special_tokens=True).strip()
        return condition_ids(self.lm, EditExample(example, own.source, own.target, (), old=old), row)


class HeldStreams(WholeModelStreams):
    """Streams whose mistakes are kept beside the unchanged model.

    Args:
        problem, orders, seed: as `Editing` takes them.
        method: name of a method without training of its own.
        settings: of the method, such as the folder of its trained parts.

    Raises:
        ConfigError: the method is unknown.
    """

    def __init__(
        self, problem: Problem, orders: Sequence[Sequence[int]], method: str, settings: dict[str, str], seed: int = 0
    ):
        super().__init__(problem, orders, seed)
        if method not in direct_methods():
            raise ConfigError(f"method {method!r} is unknown; known here: {', '.join(direct_methods())}")
        self.method: Method = build_direct(method, self.lm, [], None, settings=settings)
        self._held: list[tuple[TextRow, tuple[int, ...]]] = []
        self._prepared: object = None

    def weights(self) -> list[Tensor]:
        """Return none."""
        return []

    def mend(self, stream: Stream) -> Iterator[int]:
        """Mend one stream's mistakes, beginning without any edit, and yield the number of edits after each."""
        self._held = []
        return super().mend(stream)

    def mend_one(self, row: TextRow, example: int) -> int:
        """Keep one more edit."""
        self._held.append((row, (*row.source, *row.target)))
        self._prepared = self.method.prepare(self.lm, Edits.of(self.lm, [self._held]))
        return 0

    def logits(self, batch: TextBatch) -> Float[Tensor, "row pos out"]:
        """Return the method's predictions under all edits that are held."""
        if not self._held:
            return super().logits(batch)
        group = torch.zeros(len(batch), dtype=torch.long, device=self.lm.device)
        return self.method.answers(self.lm, self._prepared, Rows(batch, group))
