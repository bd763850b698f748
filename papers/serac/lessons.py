"""What the two parts are shown: edits, inputs in their scope, and inputs beside it."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from papers.serac.descriptor import Descriptor
from shared.errors import DataError
from shared.learning.edit_examples import EditExample, ExampleSet, Statement
from shared.learning.scope_examples import FALSE, TRUE


@dataclass(frozen=True)
class Lesson:
    """Some edits, of which the first k are asked about: an input in the scope of each, and one out of it.

    Attributes:
        edits: edits about different things, at least k.
        inside: an input that each of the first k edits decides, with its answer.
        outside: as many inputs that no edit decides.
        free: pairs of an input (those inside, then those outside) and an edit of which it is known that the input is
            out of the edit's scope. It is not known of inputs that name the answer of another edit.
    """

    edits: tuple[Descriptor, ...]
    inside: tuple[Statement, ...]
    outside: tuple[Statement, ...]
    free: Bool[Tensor, "input edit"]

    @property
    def inputs(self) -> list[str]:
        """The inputs inside, then those outside."""
        return [item.source for item in (*self.inside, *self.outside)]

    def narrowed(self, scores: Float[Tensor, "input edit"]) -> "Lesson":
        """Return the lesson with no other edits than those asked about and the likeliest wrong one for each input."""
        likeliest = scores.cpu().masked_fill(~self.free, -torch.inf).argmax(1).tolist()
        count = len(self.inside)
        kept = [*range(count), *sorted({index for index in likeliest if index >= count})]
        return replace(self, edits=tuple(self.edits[index] for index in kept), free=self.free[:, kept])


class Teacher:
    """Draws lessons from examples.

    Args:
        sets: the same examples with other answers to edit in, and statements out of scope.
        asserted: edits are statements that are asserted true, without an answer of their own.
        near_share: share of the inputs out of scope that are hard ones, where an example has some.
        foreign_share: share of the edits that get an answer which has nothing to do with the question, see
            `_foreign`: a counterfactual model that only meets a few answers to each question learns them, and not to
            read the edit.
    """

    def __init__(
        self, sets: Sequence[ExampleSet], *, asserted: bool, near_share: float | int, foreign_share: float | int = 0
    ):
        self._sets, self._asserted = list(sets), asserted
        self._near_share, self._foreign_share = near_share, foreign_share
        self._answers = sorted({example.target for chosen in self._sets for example in chosen.examples})

    def descriptor(self, example: EditExample) -> Descriptor:
        """Return an example's edit."""
        return Descriptor(example.source, "" if self._asserted else example.target)

    def inside(self, rng: random.Random, example: EditExample) -> Statement:
        """Return an input that the edit decides: its own, a paraphrase, an implied or a judged one, each as often."""
        return rng.choice(rng.choice(kinds_of(example)))

    def _answered(self, rng: random.Random, example: EditExample, chosen: ExampleSet) -> EditExample:
        """Return an example with its own answer, or by `foreign_share` with one that its question does not suggest."""
        if self._asserted or rng.random() >= self._foreign_share:
            return example
        return with_answer(example, self._foreign(rng, chosen))

    def _foreign(self, rng: random.Random, chosen: ExampleSet) -> str:
        """Return any answer, rare ones as often as frequent ones, or as often some words of another question."""
        if rng.random() < 0.5:
            return rng.choice(self._answers)
        words = rng.choice(chosen.examples).source.rstrip("?.!").split()
        first = rng.randrange(len(words))
        return " ".join(words[first : first + rng.randint(1, 3)])

    def outside(
        self, rng: random.Random, example: EditExample, anchors: Sequence[Statement], held: set[str]
    ) -> Statement:
        """Return an input that is about nothing that is edited, by `near_share` one that is near the edit."""
        near = [item for item in example.near if item.about not in held]
        if near and rng.random() < self._near_share:
            return rng.choice(near)
        return unrelated(rng, anchors, held)

    def drawn(self, rng: random.Random, count: int) -> list[EditExample]:
        """Return `count` edits, fewer where two of those drawn are about the same or there are no more."""
        chosen = rng.choice(self._sets)
        some = rng.sample(chosen.examples, min(count, len(chosen.examples)))
        examples = [self._answered(rng, example, chosen) for example in some]
        return list({example.about or example.source: example for example in examples}.values())

    def lesson(self, rng: random.Random, asked: Sequence[EditExample], others: Sequence[EditExample] = ()) -> Lesson:
        """Return a lesson about some edits, `others` being held beside them."""
        anchors = rng.choice(self._sets).anchors
        examples = [*asked, *others]
        held = {example.about for example in examples if example.about}
        inside = [self.inside(rng, example) for example in asked]
        outside = [self.outside(rng, example, anchors, held) for example in asked]
        edits = tuple(self.descriptor(example) for example in examples)
        inputs = [item.source for item in (*inside, *outside)]
        free = torch.tensor([[not edit.target or edit.target not in text for edit in edits] for text in inputs])
        own = torch.eye(len(asked), len(edits), dtype=torch.bool)
        free[: len(asked)] &= ~own
        free[len(asked) :] |= own
        return Lesson(edits, tuple(inside), tuple(outside), free)

    def answers(self, rng: random.Random, count: int) -> list[tuple[Descriptor, Statement]]:
        """Return edits with an input in the scope of each and its answer, for the counterfactual model.

        Of a statement that is asserted true there are two inputs, where it has them: what differs between a claim that
        follows and one that does not is then all that can be learnt from them.
        """
        chosen = rng.choice(self._sets)
        if not self._asserted:
            drawn = [self._answered(rng, example, chosen) for example in rng.choices(chosen.examples, k=count)]
            return [(self.descriptor(example), self.inside(rng, example)) for example in drawn]
        pairs = [
            (example, rng.sample(example.entailed, min(2, len(example.entailed))))
            for example in rng.choices(chosen.examples, k=count // 2)
        ]
        return [(self.descriptor(example), item) for example, items in pairs for item in items]


def kinds_of(example: EditExample) -> list[list[Statement]]:
    """Return what an edit decides, by kind: its own input, paraphrases, implied inputs, judged inputs."""
    own = [Statement(text, example.target) for text in example.equivalents if text == example.source]
    paraphrases = [Statement(text, example.target) for text in example.equivalents if text != example.source]
    judged = [item for item in example.entailed if item.target in (TRUE, FALSE)]
    implied = [item for item in example.entailed if item.target not in (TRUE, FALSE)]
    return [kind for kind in (own, paraphrases, implied, judged) if kind]


def with_answer(example: EditExample, answer: str) -> EditExample:
    """Return the edit to another answer; what it entails names the new answer where it named the old one.

    A statement that is false since it names a third answer is left out if that is the new one.
    """
    entailed = [
        Statement(item.source.replace(example.target, answer), item.target)
        for item in example.entailed
        if item.target != FALSE or answer not in item.source
    ]
    return replace(example, target=answer, entailed=tuple(entailed))


def unrelated(rng: random.Random, anchors: Sequence[Statement], held: set[str]) -> Statement:
    """Return a random statement that is about nothing that is held.

    Raises:
        DataError: there is no such statement among many drawn.
    """
    for _ in range(1000):
        item = rng.choice(anchors)
        if not item.about or item.about not in held:
            return item
    raise DataError("no statement out of the scope of the drawn edits; use more records or fewer edits at once")
