"""One experiment of sequential editing: a model, what it is asked, and everything that is computed once (§3, §5.1)."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from papers.t_patcher.last_layer import LastLayer, States
from shared.errors import DataError
from shared.models import LM
from shared.text_batches import TextRow, encode_row


@dataclass(frozen=True)
class Example:
    """An input with its right answer, and other wordings that have the same one."""

    example_id: int
    source: str
    target: str
    rephrases: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sources:
    """The examples of an experiment.

    Attributes:
        edit: met one after another; the model's wrong answers among them are mended.
        memory, validation: whose inputs are remembered, for training and for stopping.
        train, test: whose answers shall stay right (TrainR, TestR).
    """

    edit: tuple[Example, ...]
    memory: tuple[Example, ...]
    validation: tuple[Example, ...]
    train: tuple[Example, ...]
    test: tuple[Example, ...]

    def __post_init__(self) -> None:
        for name in ("edit", "memory", "validation", "train", "test"):
            if not getattr(self, name):
                raise DataError(f"no {name} examples; a stream of edits needs some of each kind")


class Problem:
    """The examples as rows and cached states of one unpatched model.

    Attributes:
        layer: the place of the patches.
        sources: the examples.
        edit_rows, train_rows, test_rows: token ids.
        edit, train, test: states; `edit` rows are in the order of `sources.edit`.
        rephrased: states of all rephrases of all edit examples; `rephrases_of` says which rows are whose.
        memory, validation: remembered inputs, one row per position.
        remembered: states that the divergence of Table 3 is taken on.
    """

    def __init__(self, lm: LM, sources: Sources, max_tokens: int = 4096):
        self.layer = LastLayer(lm)
        self.sources = sources
        self.edit_rows = _rows(lm, sources.edit)
        self.train_rows, self.test_rows = _rows(lm, sources.train), _rows(lm, sources.test)
        self.rephrase_rows = [
            encode_row(lm, text, example.target) for example in sources.edit for text in example.rephrases
        ]
        self.edit, self.train, self.test, self.remembered = (
            self.layer.observe(rows, max_tokens)
            for rows in (self.edit_rows, self.train_rows, self.test_rows, _rows(lm, sources.memory))
        )
        self.rephrased = self.layer.observe(self.rephrase_rows, max_tokens) if self.rephrase_rows else None
        self.rephrases_of: list[list[int]] = []
        first = 0
        for example in sources.edit:
            self.rephrases_of.append(list(range(first, first + len(example.rephrases))))
            first += len(example.rephrases)
        self.memory = self.remembered.query
        self.validation = self.layer.observe(_rows(lm, sources.validation), max_tokens).query

    def accuracy(self, states: States, summed: Tensor | None = None) -> float:
        """Return the share of rows answered right."""
        return float(self.layer.right(states, summed).double().mean())

    def right_at_first(self) -> Tensor:
        """Return, per edit example, whether the unpatched model is right."""
        return self.layer.right(self.edit)


def _rows(lm: LM, examples: Sequence[Example]) -> list[TextRow]:
    return [encode_row(lm, example.source, example.target) for example in examples]


def folds_of(count: int, folds: int, seed: int) -> list[list[int]]:
    """Return the edit examples of each fold in random order; sizes differ by one at most.

    Raises:
        DataError: there are more folds than examples.
    """
    if not 1 <= folds <= count:
        raise DataError(f"{count} edit examples cannot make {folds} folds")
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(count, generator=generator).tolist()
    return [order[fold::folds] for fold in range(folds)]
