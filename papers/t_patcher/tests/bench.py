"""What cached states gain against whole passes over copies of a mistake, and what a late edit of a stream costs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from papers.t_patcher.memory import Inputs, RememberedInputs
from papers.t_patcher.patches import Patches
from papers.t_patcher.problem import Example, Problem, Sources
from papers.t_patcher.settings import PatchSettings
from papers.t_patcher.stream import Edit, Editing
from papers.t_patcher.tests.oracle import fit_slowly
from papers.t_patcher.training import Fitted, Mistake, fit
from shared.data.requests import Case
from shared.data.templates import fill
from shared.inference.last_layer import LastLayer
from shared.inference.text_batches import TextRow, encode_row
from shared.model.models import LM
from tests.bench import Comparison, Setup

# A fixed number of updates, so that both paths do the same work; one patch each, whose start has no ties.
SETTINGS = PatchSettings(max_steps=25, first_check=1000, max_patches=1)
# Mistakes mended side by side (the paper has 20 folds), remembered inputs (§5.1), and edits of a stream late and early.
SIDE_BY_SIDE, REMEMBERED, LATE, LOOKED_AT = 12, 40_000, 1000, 5


@dataclass(frozen=True)
class Bench:
    """Mistakes with what is remembered."""

    layer: LastLayer
    rows: list[TextRow]
    mistakes: list[Mistake]
    memory: Inputs
    validation: Inputs

    @classmethod
    def of(cls, lm: LM, cases: Sequence[Case]) -> "Bench":
        """Return cases as mistakes, and their inputs, many times with noise, as the memory."""
        layer = LastLayer(lm)
        rows = [
            encode_row(lm, fill(case.request.prompt, case.request.subject), case.request.target_new) for case in cases
        ]
        states = layer.observe(rows)
        mistakes = []
        for index in range(min(SIDE_BY_SIDE, len(rows))):
            own = states.of_rows([index])
            wrong = (layer.predicted(own) != own.label).nonzero()[:1, 0].tolist()
            mistakes.append(Mistake(index, own.query, own.summed, own.label, tuple(wrong), rows[index]))
        noise = torch.randn(REMEMBERED, states.query.shape[1], generator=torch.Generator().manual_seed(0))
        remembered = states.query.repeat(-(-REMEMBERED // len(states.query)), 1)[:REMEMBERED] + noise.to(states.query)
        return cls(layer, rows, mistakes, Inputs(remembered), Inputs(remembered[: REMEMBERED // 10]))

    def quickly(self, count: int) -> list[Fitted]:
        """Return patches of the first mistakes, trained from cached states."""
        none = (self.memory.rows[:0],) * count
        loss = SETTINGS.remembered_loss()
        keeper = RememberedInputs(self.memory, self.validation, none, loss, SETTINGS.repeat)
        return fit(self.layer, self.mistakes[:count], keeper, SETTINGS)

    def slowly(self, count: int) -> list[Fitted]:
        """Return the same patches from whole passes over the copies, remembered rows held one by one."""
        rows = [list(part.rows.split(1)) for part in (self.memory, self.validation)]
        none = Patches.none(self.layer.lm.arch.d_model)
        pairs = zip(self.rows[:count], self.mistakes[:count], strict=True)
        return [fit_slowly(self.layer, row, mistake, none, *rows, SETTINGS) for row, mistake in pairs]


class LongStream:
    """Streams over the cases that stand at their first edit, or after many others."""

    def __init__(self, bench: Bench, cases: Sequence[Case]):
        told = [case.request for case in cases]
        examples = tuple(
            Example(number, fill(one.prompt, one.subject), one.target_new) for number, one in enumerate(told)
        )
        self.problem = Problem(bench.layer.lm, Sources(examples, *([examples] * 4)))
        self.problem.memory, self.problem.validation = bench.memory.rows, bench.validation.rows

    def edits_after(self, others: int) -> list[Edit]:
        """Return the next edits of a stream that has made so many others, with a neuron and a memory of each."""
        editing = Editing(self.problem, [list(range(len(self.problem.sources.edit)))], SETTINGS)
        stream, width = editing.streams[0], self.problem.memory.shape[1]
        key = torch.randn(others, width, generator=torch.Generator().manual_seed(0)) * 1e-3
        stream.patches = Patches(key, torch.full((others,), -10.0), key, (0,) * others)
        stream.edits = [Edit(number % len(stream.order), True, 0, 0, 1, 0) for number in range(others)]
        for _ in zip(range(LOOKED_AT), editing.run()):  # noqa: B905 (the stream is longer)
            pass
        return stream.edits[others:]


def _difference(slow: Sequence[Fitted], fast: Sequence[Fitted]) -> float:
    """Return the largest difference of the losses on the validation memory, relative to the slow path's."""
    return max(
        abs(one.memory_loss - other.memory_loss) / one.memory_loss for one, other in zip(slow, fast, strict=True)
    )


def comparisons(setup: Setup) -> Iterator[Comparison]:
    """Yield patches from cached states against whole passes, and a late edit of a stream against its first."""
    bench = Bench.of(setup.lm, setup.cases)
    for count in (1, len(bench.mistakes)):
        yield Comparison(
            f"{count} side by side: {SETTINGS.max_steps} updates of a patch, {REMEMBERED} remembered inputs",
            20,
            lambda count=count: bench.slowly(count),
            lambda count=count: bench.quickly(count),
            _difference,
            "of the memory loss",
        )
    stream = LongStream(bench, setup.cases)
    yield Comparison(
        f"{LOOKED_AT} edits of a stream after {LATE} others (slow) and its first ones (engine)",
        None,
        lambda: stream.edits_after(LATE),
        lambda: stream.edits_after(0),
        lambda late, first: sum(one.steps for one in late) - sum(one.steps for one in first),
        "updates",
    )
