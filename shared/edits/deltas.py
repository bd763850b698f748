"""Weight changes: kept as factors, applied and undone bit for bit, or carried one per row of a batch.

A single-layer edit changes `y = xW + b` into `y = xW + b + (x·left)·right`. Because the change is an extra term, a
batch may hold rows of many different edits, each with its own term, and the weights are never touched: hundreds of
independent edits are scored in one forward pass.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from shared.edits.added_neurons import AddedNeurons, attach
from shared.edits.routing import Router
from shared.errors import ModelError, NumericalError
from shared.model.models import LM, Architecture


@dataclass(frozen=True)
class WeightDelta:
    """Change of one linear module, always written in (d_in, d_out) orientation.

    Attributes:
        module: dotted name of the module, e.g. `transformer.h.17.mlp.c_proj`.
        left, right: factors of a low-rank change, `left @ right`.
        dense: a full change, where no factors exist (fine-tuning).
        bias: change of the bias.
    """

    module: str
    left: Float[Tensor, "d_in rank"] | None = None
    right: Float[Tensor, "rank d_out"] | None = None
    dense: Float[Tensor, "d_in d_out"] | None = None
    bias: Float[Tensor, " d_out"] | None = None

    def __post_init__(self) -> None:
        if (self.left is None) != (self.right is None):
            raise ValueError(f"delta of {self.module}: give both factors or neither")
        if self.left is not None and self.dense is not None:
            raise ValueError(f"delta of {self.module}: give factors or a dense matrix, not both")
        for name in ("left", "right", "dense", "bias"):
            value = getattr(self, name)
            if value is not None and not torch.isfinite(value).all():
                raise NumericalError(f"delta of {self.module}: {name} holds NaN or infinity; the edit diverged")

    def matrix(self) -> Float[Tensor, "d_in d_out"] | None:
        """Return the full weight change, or None if only the bias changes."""
        return self.left @ self.right if self.left is not None else self.dense

    def norm(self) -> float:
        """Return the Frobenius norm of the weight change."""
        if self.left is not None:
            gram = (self.left.T @ self.left).double() @ (self.right @ self.right.T).double()
            return float(gram.trace().clamp(min=0).sqrt())
        return 0.0 if self.dense is None else float(self.dense.norm())


@dataclass(frozen=True)
class Edit:
    """The outcome of editing a model: what changes, and numbers worth reporting about how it was found.

    Attributes:
        deltas: changes of the weights.
        info: numbers about the search.
        kind: `weights`, `neurons` for an edit that adds neurons to a layer, `context` for one that leaves the model
            alone and stands in front of every prompt, or `memory` for one that has some prompts answered by another
            model.
        context: the text of an edit of kind `context`, put directly before a prompt.
        router: which prompts an edit of kind `memory` covers, and how they are answered.
        neurons: what an edit adds to feed-forward layers, one group per layer.
    """

    deltas: tuple[WeightDelta, ...]
    info: dict[str, float | int | str] = field(default_factory=dict)
    kind: str = "weights"
    context: str = ""
    neurons: tuple[AddedNeurons, ...] = ()
    router: Router | None = None


UNEDITED = Edit(())


def _oriented(module: nn.Module, matrix: Tensor) -> Tensor:
    return matrix if Architecture.input_first(module) else matrix.T


@contextmanager
def applied(lm: LM, edit: Edit) -> Iterator[LM]:
    """Add the edit to the weights, and its neurons to their layers, inside the context; restore every bit afterwards.

    Invariant: the parameters after the context equal those before it, bit for bit, also after an exception.
    """
    saved: list[tuple[Tensor, Tensor]] = []
    with ExitStack() as stack:
        for group in edit.neurons:
            attach(stack, lm.model, [group], lambda _rows: None)
        stack.callback(_restore, saved)
        with torch.no_grad():
            for delta in edit.deltas:
                module = lm.arch.module_named(delta.module)
                matrix = delta.matrix()
                for parameter, change in (
                    (module.weight, None if matrix is None else _oriented(module, matrix)),
                    (module.bias, delta.bias),
                ):
                    if change is None:
                        continue
                    if parameter is None:
                        raise ModelError(f"the edit changes the bias of {delta.module}, which has none")
                    if parameter.shape != change.shape:
                        raise ModelError(
                            f"the edit changes {delta.module} by a {tuple(change.shape)} matrix, "
                            f"the model has {tuple(parameter.shape)}; was it made for another model?"
                        )
                    saved.append((parameter, parameter.clone()))
                    parameter += change.to(parameter)
        yield lm


def _restore(saved: Sequence[tuple[Tensor, Tensor]]) -> None:
    with torch.no_grad():
        for parameter, original in reversed(saved):
            parameter.copy_(original)


class _ModuleRows:
    """The terms that several edits add to one module's output."""

    def __init__(self, deltas: dict[int, WeightDelta], n_edits: int, like: Tensor, d_in: int, d_out: int):
        self.dense = {e: d.dense.to(like) for e, d in deltas.items() if d.dense is not None}
        factored = {e: d for e, d in deltas.items() if d.left is not None}
        rank = max((d.left.shape[1] for d in factored.values()), default=0)
        self.left = like.new_zeros(n_edits + 1, d_in, rank) if rank else None  # the last row is "no edit"
        self.right = like.new_zeros(n_edits + 1, rank, d_out) if rank else None
        for e, d in factored.items():
            self.left[e, :, : d.left.shape[1]] = d.left
            self.right[e, : d.left.shape[1]] = d.right
        self.bias = like.new_zeros(n_edits + 1, d_out) if any(d.bias is not None for d in deltas.values()) else None
        for e, d in deltas.items():
            if d.bias is not None:
                self.bias[e] = d.bias

    def add(self, x: Tensor, y: Tensor, edit_of_row: Tensor) -> Tensor:
        """Return y plus each row's own term."""
        if self.left is not None:
            y = y + torch.bmm(torch.bmm(x, self.left[edit_of_row]), self.right[edit_of_row])
        if self.bias is not None:
            y = y + self.bias[edit_of_row][:, None]
        present = set(edit_of_row.tolist()) & self.dense.keys() if self.dense else ()
        if present:
            y = y.clone()
            for e in present:
                rows = edit_of_row == e
                y[rows] += x[rows] @ self.dense[e]
        return y


class RowEdits:
    """Which edit each row of the running batch carries; made by `row_edits`."""

    def __init__(self, n_edits: int, device: torch.device):
        self.n_edits = n_edits
        self._device = device
        self.edit_of_row: Int[Tensor, " row"] | None = None

    def select(self, edit_of_row: Sequence[int | None]) -> None:
        """Say for the next forward passes which edit each row carries; None is the unedited model."""
        indices = [self.n_edits if e is None else e for e in edit_of_row]
        self.edit_of_row = torch.tensor(indices, device=self._device)


@contextmanager
def row_edits(lm: LM, edits: Sequence[Edit]) -> Iterator[RowEdits]:
    """Let each row of every batch inside the context carry its own edit.

    Memory: the factors of all `edits` are held once, those of a batch's rows are gathered per module and pass.

    Yields:
        the selector; call `select` before each forward pass.
    """
    rows = RowEdits(len(edits), lm.device)
    by_module: dict[str, dict[int, WeightDelta]] = {}
    for index, edit in enumerate(edits):
        for delta in edit.deltas:
            of_module = by_module.setdefault(delta.module, {})
            if index in of_module:
                raise ValueError(f"edit {index} changes {delta.module} twice; merge its deltas first")
            of_module[index] = delta

    def select_rows(count: int) -> Tensor:
        if rows.edit_of_row is None or len(rows.edit_of_row) != count:
            raise ValueError(f"row edits: call select() with {count} entries before this forward pass")
        return rows.edit_of_row

    def hook_for(terms: _ModuleRows):
        def hook(_module: nn.Module, args: tuple, output: Tensor) -> Tensor:
            return terms.add(args[0], output, select_rows(len(output)))

        return hook

    with ExitStack() as stack:
        for layer in {group.down: None for edit in edits for group in edit.neurons}:
            groups = [next((group for group in edit.neurons if group.down == layer), None) for edit in edits]
            attach(stack, lm.model, groups, select_rows)
        for name, deltas in by_module.items():
            module = lm.arch.module_named(name)
            terms = _ModuleRows(
                deltas, len(edits), module.weight, Architecture.in_features(module), Architecture.out_features(module)
            )
            stack.callback(module.register_forward_hook(hook_for(terms)).remove)
        yield rows


def merge(edits: Sequence[Edit]) -> Edit:
    """Return one edit that does what all of `edits` do together (factors are concatenated, dense changes summed)."""
    grouped: dict[str, list[WeightDelta]] = {}
    for edit in edits:
        for delta in edit.deltas:
            grouped.setdefault(delta.module, []).append(delta)
    merged = []
    for module, deltas in grouped.items():
        biases = [d.bias for d in deltas if d.bias is not None]
        bias = torch.stack(biases).sum(0) if biases else None
        if all(d.dense is None for d in deltas):
            factored = [d for d in deltas if d.left is not None]
            left = torch.cat([d.left for d in factored], dim=1) if factored else None
            right = torch.cat([d.right for d in factored], dim=0) if factored else None
            merged.append(WeightDelta(module, left, right, bias=bias))
        else:
            matrices = [m for d in deltas if (m := d.matrix()) is not None]
            merged.append(WeightDelta(module, dense=torch.stack(matrices).sum(0), bias=bias))
    layers: dict[str, AddedNeurons] = {}
    for group in (group for edit in edits for group in edit.neurons):
        layers[group.down] = layers[group.down].joined(group) if group.down in layers else group
    return Edit(tuple(merged), kind="neurons" if layers else "weights", neurons=tuple(layers.values()))
