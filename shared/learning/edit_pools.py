"""Tokenised examples, and the episodes that learned editors are trained and tested on.

An episode is a number of independent edits, each of one or several pairs, with an equivalent input of every pair and
statements that shall stay as they are.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from shared.errors import DataError
from shared.inference.text_batches import DECODER, TextBatch, TextRow, collate, encode_row, family_of
from shared.learning.edit_examples import EditExample, ExampleSet
from shared.learning.learned_editors import Edits
from shared.model.models import LM
from shared.seeding import seed_for

CONDITION_TOKENS = 32
CUTS = 8


@dataclass(frozen=True)
class EncodedExample:
    """An edit as token ids: the pair, what its condition says, and inputs that it decides, with their answers.

    `about` and `near` are as in `EditExample`, each statement of `near` with what it is about.
    """

    example_id: int
    row: TextRow
    condition: tuple[int, ...]
    equivalents: tuple[TextRow, ...]
    about: str = ""
    near: tuple[tuple[TextRow, str], ...] = ()


@dataclass(frozen=True)
class Rows:
    """Rows of a batch and which edit each belongs to, in ascending order."""

    batch: TextBatch
    group: Int[Tensor, " row"]

    @classmethod
    def of(cls, lm: LM, groups: Sequence[Sequence[TextRow]]) -> "Rows":
        """Return the rows of all edits as one batch."""
        index = [place for place, rows in enumerate(groups) for _ in rows]
        return cls(collate(lm, [row for rows in groups for row in rows]), torch.tensor(index, device=lm.device))


@dataclass(frozen=True)
class Episode:
    """Independent edits with what is asked after each.

    Attributes:
        example_ids: records of each edit.
        edits: the pairs to be edited in.
        equivalents: one equivalent input of every pair.
        anchors: statements for locality.
    """

    example_ids: tuple[tuple[int, ...], ...]
    edits: Edits
    equivalents: Rows
    anchors: Rows


def condition_ids(lm: LM, example: EditExample, row: TextRow) -> tuple[int, ...]:
    """Return the tokens of "old >> new || input" (De Cao et al. 2021), or the whole text where no old answer is known.

    At most 32 tokens, as in the authors' code: long inputs lose their tail.
    """
    if not example.old:
        return (*row.source, *row.target)
    text = f"{example.old} >> {example.target.strip()} || {example.source}"
    return tuple(lm.tokenizer.encode(text, add_special_tokens=False)[:CONDITION_TOKENS])


class Pool:
    """All examples of one part of the data, tokenised once.

    Args:
        examples: edits and anchors.
        max_tokens: a decoder's longer inputs lose their beginning, so that input and answer fit into so many tokens.

    An example without equivalent inputs gets its own text with a random number of its first tokens removed, up to half
    of what stands before the answer (MEND, §5.1, Wikitext).
    """

    def __init__(self, lm: LM, examples: ExampleSet, *, max_tokens: int = 128):
        self.lm, self.max_tokens = lm, max_tokens
        self.examples = [self._encoded(example) for example in examples.examples]
        self.anchors = [self._cut(encode_row(lm, item.source, item.target)) for item in examples.anchors]
        self._about = {
            row.source: item.about for row, item in zip(self.anchors, examples.anchors, strict=True) if item.about
        }

    def _cut(self, row: TextRow) -> TextRow:
        if family_of(self.lm.model) != DECODER or len(row.source) + len(row.target) <= self.max_tokens:
            return row
        target = row.target[: self.max_tokens - 1]
        return TextRow(row.source[-(self.max_tokens - len(target)) :], target)

    def _encoded(self, example: EditExample) -> EncodedExample:
        row = self._cut(encode_row(self.lm, example.source, example.target))
        equivalents = [self._cut(encode_row(self.lm, text, example.target)) for text in example.equivalents]
        equivalents += [self._cut(encode_row(self.lm, item.source, item.target)) for item in example.entailed]
        near = tuple((self._cut(encode_row(self.lm, item.source, item.target)), item.about) for item in example.near)
        if not equivalents:
            rng = random.Random(seed_for("cut", example.example_id))
            cuts = sorted({rng.randint(0, len(row.source) // 2) for _ in range(CUTS)})
            equivalents = [TextRow(row.source[cut:], row.target) for cut in cuts]
        condition = condition_ids(self.lm, example, row)
        return EncodedExample(example.example_id, row, condition, tuple(equivalents), example.about, near)

    def episode(
        self,
        rng: random.Random,
        groups: Sequence[Sequence[int]],
        n_anchors: int,
    ) -> Episode:
        """Return the edits of the given examples, with equivalents and anchors drawn by `rng`.

        Args:
            groups: indices of the examples of each edit.
            n_anchors: statements per edit; those about what is edited are not drawn, and every other one is a near one
                where the examples have some.
        """
        chosen = [[self.examples[index] for index in group] for group in groups]
        return Episode(
            tuple(tuple(example.example_id for example in group) for group in chosen),
            Edits.of(self.lm, [[(example.row, example.condition) for example in group] for group in chosen]),
            Rows.of(self.lm, [[rng.choice(example.equivalents) for example in group] for group in chosen]),
            Rows.of(self.lm, [self._anchors(rng, group, n_anchors) for group in chosen]),
        )

    def _anchors(self, rng: random.Random, group: Sequence[EncodedExample], count: int) -> list[TextRow]:
        edited = {row.source for example in group for row in (example.row, *example.equivalents)}
        abouts = {example.about for example in group if example.about}
        near = [row for example in group for row, about in example.near if about not in abouts]
        drawn: list[TextRow] = []
        while len(drawn) < count:
            row = rng.choice(near if near and len(drawn) % 2 else self.anchors)
            if row.source not in edited and self._about.get(row.source) not in abouts:
                drawn.append(row)
        return drawn

    def draw(self, rng: random.Random, n_groups: int, n_edits: int, n_anchors: int) -> Episode:
        """Return a random episode."""
        return self.episode(rng, self.groups(rng, n_groups, n_edits), n_anchors)

    def groups(self, rng: random.Random, n_groups: int, n_edits: int) -> list[list[int]]:
        """Return the examples of random edits, by index.

        No example occurs twice while there are enough of them, and no edit has two that are about the same: they could
        contradict each other.

        Raises:
            DataError: the examples are about fewer things than one edit has pairs.
        """
        about = [example.about or str(place) for place, example in enumerate(self.examples)]
        if len(set(about)) < n_edits:
            raise DataError(
                f"an edit of {n_edits} pairs needs as many examples; these are about {len(set(about))} things"
            )
        waiting: list[int] = []
        made = []
        while len(made) < n_groups:
            group: list[int] = []
            later: list[int] = []
            while len(group) < n_edits:
                waiting = waiting or self.shuffled(rng)
                index = waiting.pop(0)
                taken = about[index] in {about[other] for other in group}
                (later if taken else group).append(index)
            made.append(group)
            waiting = later + waiting
        return made

    def shuffled(self, rng: random.Random) -> list[int]:
        """Return the indices of all examples in random order."""
        return rng.sample(range(len(self.examples)), len(self.examples))
