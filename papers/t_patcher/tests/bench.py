"""What cached states gain against whole passes over copies of a mistake, and what a late edit of a stream costs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from papers.t_patcher.memory import RememberedInputs
from papers.t_patcher.patches import Patches
from papers.t_patcher.settings import PatchSettings
from papers.t_patcher.tests.oracle import fit_slowly
from papers.t_patcher.training import Fitted, Mistake, fit
from shared.last_layer import LastLayer
from shared.models import LM
from shared.templates import fill
from shared.text_batches import TextRow, encode_row
from tests.bench import Comparison, Setup

# A fixed number of updates, so that both paths do the same work; one patch each, whose start has no ties.
SETTINGS = PatchSettings(max_steps=25, first_check=1000, max_patches=1)
# Mistakes mended side by side (the paper has 20 folds), remembered inputs (§5.1), and the place of a late edit.
SIDE_BY_SIDE, REMEMBERED, LATE = 12, 40_000, 1000


@dataclass(frozen=True)
class Bench:
    """Mistakes with what is remembered."""

    layer: LastLayer
    rows: list[TextRow]
    mistakes: list[Mistake]
    memory: Tensor
    validation: Tensor

    @classmethod
    def of(cls, lm: LM, cases: Sequence) -> "Bench":
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
        return cls(layer, rows, mistakes, remembered, remembered[: REMEMBERED // 10])

    def quickly(self, count: int, past: int = 0) -> list[Fitted]:
        """Return patches trained from cached states, with so many earlier mistakes remembered too."""
        loss = SETTINGS.remembered_loss()
        mended = (self.memory[:past],) * count
        keeper = RememberedInputs(self.memory, self.validation, mended, loss, SETTINGS.repeat)
        return fit(self.layer, self.mistakes[:count], keeper, SETTINGS)

    def slowly(self) -> list[Fitted]:
        """Return the same patches from whole passes over the copies, remembered rows held one by one."""
        rows = [list(part.split(1)) for part in (self.memory, self.validation)]
        none = Patches.none(self.memory.shape[1], self.memory.device)
        return [
            fit_slowly(self.layer, row, mistake, none, *rows, SETTINGS)
            for row, mistake in zip(self.rows, self.mistakes, strict=False)
        ]


def _difference(slow: Sequence[Fitted], fast: Sequence[Fitted]) -> float:
    """Return the largest difference of the losses on the validation memory, relative to the slow path's."""
    return max(
        abs(one.memory_loss - other.memory_loss) / one.memory_loss for one, other in zip(slow, fast, strict=True)
    )


def comparisons(setup: Setup) -> Iterator[Comparison]:
    """Yield patches from cached states against whole passes, and a late edit of a stream against its first."""
    bench = Bench.of(setup.lm, setup.cases)
    yield Comparison(
        f"{len(bench.mistakes)} patches, {SETTINGS.max_steps} updates each, {REMEMBERED} remembered inputs",
        20,
        bench.slowly,
        lambda: bench.quickly(len(bench.mistakes)),
        _difference,
        "of the memory loss",
    )
    yield Comparison(
        f"an edit after {LATE} others (slow) and the first (engine)",
        None,
        lambda: bench.quickly(1, LATE),
        lambda: bench.quickly(1),
        lambda late, first: abs(late[0].steps - first[0].steps),
        "updates",
    )
