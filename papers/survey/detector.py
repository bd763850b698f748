"""How large a change is, and whether one edit disables the model (Gupta et al. 2024, arXiv:2403.07175, §3).

The paper looks at two numbers of each edit: the size of its update, and the n-gram entropy of a text that the edited
model writes. Disabling edits stand apart in both: their updates are far larger, and the text repeats itself. The paper
shows them in a scatter plot and names no bounds; the bounds here are settings.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

import torch
from torch import Tensor, nn

from shared.edits.deltas import Edit
from shared.model.models import LM, Architecture


@dataclass(frozen=True)
class Bounds:
    """When an edit counts as disabling: both must hold.

    Attributes:
        norm_multiple: the update is larger than so many times the median of the method's edits in the same run.
        entropy_share: the text's entropy is below this share of the unedited model's.
    """

    norm_multiple: float | int = 4.0
    entropy_share: float | int = 0.5


def disabling(
    norms: Sequence[float], entropies: Sequence[float | None], unedited: float, bounds: Bounds
) -> list[bool | None]:
    """Return which edits of a run disable the model; None where no text was written.

    Args:
        norms: size of each edit's own update.
        entropies: of the text written after each edit, in bits.
        unedited: mean entropy of the unedited model's texts.
    """
    usual = median(norms) if norms else 0.0
    return [
        None if entropy is None else norm > bounds.norm_multiple * usual and entropy < bounds.entropy_share * unedited
        for norm, entropy in zip(norms, entropies, strict=True)
    ]


class ChangeSoFar:
    """The sum of a sequence's changes, module by module.

    Neurons that an edit adds count as rows that a matrix gains: their keys and values are the change, and the matrices
    are those of the layer that gains them.
    """

    def __init__(self, lm: LM):
        self._lm = lm
        self._sums: dict[str, Tensor] = {}
        self._own: dict[str, float] = {}

    def add(self, edit: Edit) -> float:
        """Add one edit, before it is applied, and return its own size: |Δ|_F over the number of changed entries."""
        squares, entries = 0.0, 0
        for name, change in self._changes(edit):
            matrix = self._weight(name)
            self._own.setdefault(name, float(matrix.norm()))
            if name in self._sums and name.endswith(" neurons"):
                self._sums[name] = torch.cat([self._sums[name], change])
            else:
                self._sums[name] = self._sums[name] + change if name in self._sums else change
            squares += float(change.double().norm()) ** 2
            entries += matrix.numel()
        return squares**0.5 / entries if entries else 0.0

    @property
    def growth(self) -> float:
        """Frobenius norm of the whole change over that of the unedited matrices that it changes; 0 if there is none."""
        own = sum(norm**2 for norm in self._own.values())
        changed = sum(float(total.double().norm()) ** 2 for total in self._sums.values())
        return (changed / own) ** 0.5 if own else 0.0

    def _changes(self, edit: Edit) -> Iterable[tuple[str, Tensor]]:
        for delta in edit.deltas:
            matrix = delta.matrix()
            if matrix is not None:
                yield delta.module, matrix
        for group in edit.neurons:
            yield f"{group.up} neurons", group.key
            yield f"{group.down} neurons", group.value

    def _weight(self, name: str) -> Tensor:
        module: nn.Module = self._lm.arch.module_named(name.removesuffix(" neurons"))
        return module.weight if Architecture.input_first(module) else module.weight.T
