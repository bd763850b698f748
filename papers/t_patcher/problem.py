"""One experiment of sequential editing: a model, what it is asked, and everything that is computed once (§3, §5.1)."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from papers.t_patcher.inner_layer import InnerLayer
from shared.errors import DataError
from shared.inference.last_layer import LastLayer, States
from shared.inference.text_batches import TextRow, encode_row
from shared.model.models import LM


@dataclass(frozen=True)
class Example:
    """An input with its right answer, other wordings that have the same one, and what lies near.

    Attributes:
        near: like questions about other subjects, with their own answers.
    """

    example_id: int
    source: str
    target: str
    rephrases: tuple[str, ...] = ()
    near: tuple[tuple[str, str], ...] = ()


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

    Args:
        layer: block of the patched layer, if not the last.

    Attributes:
        layer: the place of the patches.
        sources: the examples.
        edit_rows, rephrase_rows, train_rows, test_rows, near_rows, remembered_rows: token ids.
        edit, train, test: states; `edit` rows are in the order of `sources.edit`.
        rephrased: states of all rephrases of all edit examples; `rephrases_of` says which rows are whose.
        near: states of what lies near any of the edit examples; None where nothing is known of it.
        memory, validation: remembered inputs, one row per position.
        remembered: states that the divergence of Table 3 is taken on.
    """

    def __init__(self, lm: LM, sources: Sources, max_tokens: int = 4096, layer: int | None = None):
        self.layer = LastLayer(lm) if layer is None else InnerLayer(lm, layer)
        self.sources = sources
        self.edit_rows = _rows(lm, sources.edit)
        self.train_rows, self.test_rows = _rows(lm, sources.train), _rows(lm, sources.test)
        self.rephrase_rows = [
            encode_row(lm, text, example.target) for example in sources.edit for text in example.rephrases
        ]
        self.remembered_rows = _rows(lm, sources.memory)
        self.edit, self.train, self.test, self.remembered = (
            self.layer.observe(rows, max_tokens)
            for rows in (self.edit_rows, self.train_rows, self.test_rows, self.remembered_rows)
        )
        self.rephrased = self.layer.observe(self.rephrase_rows, max_tokens) if self.rephrase_rows else None
        self.near_rows = [encode_row(lm, source, target) for one in sources.edit for source, target in one.near]
        self.near = self.layer.observe(self.near_rows, max_tokens) if self.near_rows else None
        self.rephrases_of: list[list[int]] = []
        first = 0
        for example in sources.edit:
            self.rephrases_of.append(list(range(first, first + len(example.rephrases))))
            first += len(example.rephrases)
        self.memory = self.remembered.query
        self.validation = self.layer.observe(_rows(lm, sources.validation), max_tokens).query

    def remembering(self, count: int | None) -> "Problem":
        """Return this experiment with the first so many remembered examples; None for all.

        Raises:
            DataError: there are fewer.
        """
        if count is None:
            return self
        if not 1 <= count <= self.remembered.n_rows:
            raise DataError(f"a memory of {count} examples is asked for, and there are {self.remembered.n_rows}")
        smaller = copy.copy(self)
        smaller.remembered = self.remembered.of_rows(range(count))
        smaller.remembered_rows, smaller.memory = self.remembered_rows[:count], smaller.remembered.query
        return smaller

    def accuracy(self, states: States, summed: Tensor | None = None) -> float:
        """Return the share of rows answered right."""
        return float(self.layer.right(states, summed).double().mean())

    def right_at_first(self) -> Tensor:
        """Return, per edit example, whether the unpatched model is right."""
        return self.layer.right(self.edit)

    @cached_property
    def sets(self) -> dict[str, States]:
        """Return the examples that shall be answered as before, by name: train, test and, where there are any, near."""
        every = {"train": self.train, "test": self.test, "near": self.near}
        return {name: states for name, states in every.items() if states is not None}

    @cached_property
    def set_rows(self) -> dict[str, list[TextRow]]:
        """Return the token ids of `sets`, by the same names."""
        every = {"train": self.train_rows, "test": self.test_rows, "near": self.near_rows}
        return {name: every[name] for name in self.sets}

    @cached_property
    def accuracy_before(self) -> dict[str, float]:
        """Return the unpatched model's accuracy on each of `sets`."""
        return {name: self.accuracy(states) for name, states in self.sets.items()}


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
