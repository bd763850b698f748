"""What cached states gain against whole passes over copies of a mistake, and what a late edit of a stream costs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from papers.t_patcher.last_layer import LastLayer
from papers.t_patcher.memory import RememberedInputs
from papers.t_patcher.patches import Patches
from papers.t_patcher.settings import PatchSettings
from papers.t_patcher.tests.oracle import fit_slowly
from papers.t_patcher.training import Fitted, Mistake, fit
from shared.models import LM
from shared.templates import fill
from shared.text_batches import TextRow, encode_row
from tests.bench import Comparison, Setup

# A fixed number of updates, so that both paths do the same work; one patch, whose start has no ties.
SETTINGS = PatchSettings(max_steps=50, first_check=1000, max_patches=1)
# Remembered inputs (§5.1), and the place of a late edit.
REMEMBERED, LATE = 40_000, 1000


@dataclass(frozen=True)
class Bench:
    """One mistake with what is remembered."""

    layer: LastLayer
    row: TextRow
    mistake: Mistake
    memory: Tensor
    validation: Tensor

    @classmethod
    def of(cls, lm: LM, cases: Sequence) -> "Bench":
        """Return the first case as a mistake, and the others' inputs, many times with noise, as the memory."""
        layer = LastLayer(lm)
        rows = [
            encode_row(lm, fill(case.request.prompt, case.request.subject), case.request.target_new) for case in cases
        ]
        states = layer.observe(rows[:1])
        wrong = (layer.predicted(states.summed) != states.label).nonzero()[:1, 0].tolist()
        seen = layer.observe(rows[1:]).query
        noise = torch.randn(REMEMBERED, seen.shape[1], generator=torch.Generator().manual_seed(0)).to(seen)
        remembered = seen.repeat(-(-REMEMBERED // len(seen)), 1)[:REMEMBERED] + 0.1 * noise
        mistake = Mistake(0, states.query, states.summed, states.label, tuple(wrong))
        return cls(layer, rows[0], mistake, remembered, remembered.flip(0)[: REMEMBERED // 4])

    def quickly(self, past: int = 0) -> Fitted:
        """Return the patch trained from cached states, with so many earlier mistakes remembered too."""
        mended = (self.memory[:past],)
        loss = SETTINGS.remembered_loss()
        keeper = RememberedInputs(self.memory, self.validation, mended, loss, SETTINGS.repeat)
        return fit(self.layer, [self.mistake], keeper, SETTINGS)[0]

    def slowly(self) -> Fitted:
        """Return the same patch from whole passes over the copies, remembered rows held one by one."""
        rows = [list(part.split(1)) for part in (self.memory, self.validation)]
        none = Patches.none(self.memory.shape[1], self.memory.device)
        return fit_slowly(self.layer, self.row, self.mistake, none, *rows, SETTINGS)


def _difference(slow: Fitted, fast: Fitted) -> float:
    """Return the difference of the losses on the validation memory, relative to the slow path's."""
    return abs(slow.memory_loss - fast.memory_loss) / slow.memory_loss


def comparisons(setup: Setup) -> Iterator[Comparison]:
    """Yield one patch from cached states, and a late edit of a stream against its first."""
    bench = Bench.of(setup.lm, setup.cases)
    yield Comparison(
        f"a patch in {SETTINGS.max_steps} updates, {REMEMBERED} remembered inputs",
        20,
        bench.slowly,
        bench.quickly,
        _difference,
        "of the memory loss",
    )
    yield Comparison(
        f"an edit after {LATE} others (slow) and the first (engine)",
        None,
        lambda: bench.quickly(LATE),
        bench.quickly,
        lambda late, first: abs(late.steps - first.steps),
        "updates",
    )
