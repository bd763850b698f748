"""Running normalisation of the editor's inputs: every dimension of u and of δ to zero mean and unit variance."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from shared.errors import NumericalError

EPSILON = 1e-7


class RunningNorm(nn.Module):
    """Mean and standard deviation of all rows seen while training (§3.2; Welford's statistics in the authors' code).

    A block of rows is merged by its own mean and sum of squares, in float64, which gives the statistics of one row at a
    time to rounding. Rows are counted before they are normalised. Everything is saved, the count included, so that a
    resumed training goes on with the same statistics.
    """

    def __init__(self, width: int):
        super().__init__()
        self.register_buffer("mean", torch.zeros(width, dtype=torch.float64))
        self.register_buffer("squares", torch.zeros(width, dtype=torch.float64))
        self.register_buffer("count", torch.zeros((), dtype=torch.float64))

    @torch.no_grad()
    def update(self, rows: Float[Tensor, "row width"]) -> None:
        """Take rows into the statistics (Chan et al.'s merge of two sets)."""
        if not len(rows):
            return
        rows = rows.double()
        mean, count = rows.mean(0), len(rows)
        total = self.count + count
        shift = mean - self.mean
        self.squares += ((rows - mean) ** 2).sum(0) + shift**2 * self.count * count / total
        self.mean += shift * count / total
        self.count.copy_(total)

    def forward(self, rows: Float[Tensor, "row width"]) -> Float[Tensor, "row width"]:
        """Return the rows normalised.

        Raises:
            NumericalError: fewer than two rows were ever seen, so that there is no variance.
        """
        if self.count < 2:
            raise NumericalError(
                f"the editor's normalisation has seen {int(self.count)} rows, a variance needs two: train it first, "
                "with at least two tokens in the first edits"
            )
        std = (self.squares / (self.count - 1)).sqrt()
        return ((rows.double() - self.mean) / (std + EPSILON)).to(rows.dtype)
