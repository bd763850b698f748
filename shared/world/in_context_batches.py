"""The batches of the teaching with in-context documents."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from shared.seeding import seed_for
from shared.world.documents import DocumentSampler
from shared.world.factbook import FactBook
from shared.world.in_context import END_MARK, FACT_MARK, PROMPT_MARK, ContextSampler
from shared.world.in_context_recipes import ContextRecipe, Stage

HINTS = ("other subject", "answered from memory", "such an answer before")


@dataclass(frozen=True)
class Batch:
    """Rows of one step.

    Attributes:
        ids: tokens.
        weights: of the tokens in the loss.
        positions: of the tokens.
        hints: 1 or 0 where one of `HINTS` holds or does not, and -1 where nothing is said: at the end of a question
            whether it is about another subject, and whether an earlier question was answered from memory; at the end of
            a part whether its question was.
    """

    ids: Int[Tensor, "row pos"]
    weights: Float[Tensor, "row pos"]
    positions: Int[Tensor, "row pos"]
    hints: Int[Tensor, "row pos hint"]


@dataclass
class _Row:
    ids: list[int] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)
    hints: list[tuple[int, int, int]] = field(default_factory=list)

    def add(self, ids: Sequence[int], weight: float) -> None:
        self.ids += ids
        self.weights += [weight] * len(ids)
        self.hints += [(-1, -1, -1)] * len(ids)

    def cut(self, length: int) -> "_Row":
        return _Row(self.ids[:length], self.weights[:length], self.hints[:length])


class ContextBatches:
    """Turns sampled documents into rows of token ids with their weights in the loss."""

    def __init__(
        self,
        book: FactBook,
        tokenizer: PreTrainedTokenizerBase,
        recipe: ContextRecipe,
        held_out: Sequence[tuple[str, str]],
        seed: int,
    ):
        self._recipe, self._rng = recipe, random.Random(seed_for("in-context documents", seed))
        self._contexts = ContextSampler(book, self._rng, recipe.documents, held_out)
        self._plain = DocumentSampler(book, self._rng)
        self._encode = tokenizer.backend_tokenizer.encode
        self._end = tokenizer.eos_token_id
        self._marks = [tokenizer.convert_tokens_to_ids(mark) for mark in (FACT_MARK, PROMPT_MARK, END_MARK)]

    def batch(self, step: int) -> Batch:
        """Return the rows of `step`; calls must follow the order of steps."""
        stage = self._recipe.stage_at(step)
        length = stage.lengths[step % len(stage.lengths)]
        rows = []
        for _ in range(self._recipe.tokens // length):
            plain = self._rng.random() < stage.plain
            rows.append(self._plain_row(length) if plain else self._context_row(length, stage))
        most = self._recipe.positions - length
        first = [self._rng.randint(0, most) if self._rng.random() < self._recipe.anywhere else 0 for _ in rows]
        return Batch(
            torch.tensor([row.ids for row in rows]),
            torch.tensor([row.weights for row in rows]),
            torch.tensor(first)[:, None] + torch.arange(length),
            torch.tensor([row.hints for row in rows]),
        )

    def _context_row(self, length: int, stage: Stage) -> _Row:
        fact_mark, prompt_mark, end_mark = self._marks
        row, seen = _Row(), False
        # No part has fewer than ten tokens.
        for part in self._contexts.chain(length // 10 + 1, None if stage.careless else False):
            row.add([fact_mark], 0.0)
            row.add(self._ids(f" {part.fact} {part.new}"), stage.words / 4)
            row.add([prompt_mark], 0.0)
            row.add(self._ids(f" {part.prompt}"), stage.words)
            row.hints[-1] = (int(part.other), -1, int(seen))
            row.add(self._ids(f" {part.answer}"), 1.0)
            row.add([end_mark], 0.1)
            row.hints[-1] = (-1, int(part.from_memory), -1)
            seen |= part.from_memory
            if len(row.ids) >= length:
                return row.cut(length)
        raise AssertionError("a document is shorter than its row")

    def _plain_row(self, length: int) -> _Row:
        row, sampler = _Row(), self._plain
        if self._rng.random() >= 0.5:
            row.add([self._end], 0.1)
        while len(row.ids) < length:
            ticket = self._rng.random()
            document = (
                sampler.list_document()
                if ticket < 0.3
                else sampler.article()
                if ticket < 0.6
                else sampler.statement_document()
            )
            encoding = self._encode(document.text, add_special_tokens=False)
            for token, (start, _) in zip(encoding.ids, encoding.offsets, strict=True):
                row.add([token], 1.0 if any(b <= start < stop for b, stop in document.objects) else 0.1)
            row.add([self._end], 0.1)
        return row.cut(length)

    def _ids(self, text: str) -> list[int]:
        return self._encode(text, add_special_tokens=False).ids
