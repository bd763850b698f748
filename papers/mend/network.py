"""The editor network: two residual blocks of low rank, the identity when training starts."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from shared.errors import ConfigError

BLOCKS = 2


class Block(nn.Module):
    """z + max(0, s_ℓ ⊙ (U V z + b) + o_ℓ) (Eq. 3, §3.2), with scale s and offset o per layer ℓ of the same shape.

    Args:
        width: of z.
        rank: of U V, at most the width.
        layers: weights that share the block; without sharing there is one and no scale or offset of its own.
        init: `identity` (U = 0) or `xavier` (both factors random, and no residual: the ablation "no ID init").
        draw: how V is drawn under `identity`: `normal` (the authors' code) or `xavier` (the paper's text).
    """

    def __init__(self, width: int, rank: int, layers: int, *, init: str = "identity", draw: str = "normal"):
        super().__init__()
        if init not in ("identity", "xavier") or draw not in ("normal", "xavier"):
            raise ConfigError(f"editor network: init {init!r}, draw {draw!r}; expected identity|xavier, normal|xavier")
        rank = min(rank, width)
        self.residual = init == "identity"
        self.up = nn.Parameter(torch.zeros(width, rank))
        self.down = nn.Parameter(torch.randn(rank, width))
        if init == "xavier":
            nn.init.xavier_uniform_(self.up, gain=nn.init.calculate_gain("relu"))
        if init == "xavier" or draw == "xavier":
            nn.init.xavier_uniform_(self.down)
        self.bias = nn.Parameter(torch.zeros(width))
        self.scale = nn.Parameter(torch.ones(layers, width)) if layers > 1 else None
        self.offset = nn.Parameter(torch.zeros(layers, width)) if layers > 1 else None

    def forward(self, z: Float[Tensor, "row width"], layer: Int[Tensor, " row"]) -> Float[Tensor, "row width"]:
        """Return the block's output for rows of the given layers."""
        pre = (z @ self.down.T) @ self.up.T + self.bias
        if self.scale is not None:
            pre = pre * self.scale[layer] + self.offset[layer]
        # At the start every pre-activation is exactly 0: clamp passes a gradient there, relu would freeze U for ever.
        added = pre.clamp(min=0)
        return z + added if self.residual else added


class EditorNetwork(nn.Module):
    """g: [ū; δ̄] → [ũ; δ̃] for all weights of one shape.

    Args:
        d_in, d_out: of the weights.
        layers: weights that share the network.
        rank: of each block.
        reads: what is transformed: `both`, `u`, `delta`, or `smaller` (the side of fewer dimensions, u if they are
            equal); the other side is handed on as it is (ablations of Table 6).
        init, draw: see `Block`.
    """

    def __init__(
        self,
        d_in: int,
        d_out: int,
        layers: int,
        *,
        rank: int = 1920,
        reads: str = "both",
        init: str = "identity",
        draw: str = "normal",
    ):
        super().__init__()
        if reads == "smaller":
            reads = "u" if d_in <= d_out else "delta"
        if reads not in ("both", "u", "delta"):
            raise ConfigError(f"editor network: reads is {reads!r}, expected both, u, delta or smaller")
        self.reads, self.d_in = reads, d_in
        width = {"both": d_in + d_out, "u": d_in, "delta": d_out}[reads]
        self.blocks = nn.ModuleList(Block(width, rank, layers, init=init, draw=draw) for _ in range(BLOCKS))

    def forward(
        self, u: Float[Tensor, "row d_in"], delta: Float[Tensor, "row d_out"], layer: Int[Tensor, " row"]
    ) -> tuple[Float[Tensor, "row d_in"], Float[Tensor, "row d_out"]]:
        """Return ũ and δ̃."""
        z = {"both": torch.cat([u, delta], -1), "u": u, "delta": delta}[self.reads]
        for block in self.blocks:
            z = block(z, layer)
        if self.reads == "both":
            return z[:, : self.d_in], z[:, self.d_in :]
        return (z, delta) if self.reads == "u" else (u, z)
