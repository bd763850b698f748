"""What a patch must leave alone: remembered inputs of the last layer, or remembered predictions.

Lines are mistakes of independent streams that are mended side by side. They share what was remembered before the first
edit; each also remembers the mistakes of its own stream.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from papers.t_patcher.losses import LARGEST, MemoryLoss, divergence
from shared.last_layer import LastLayer


@dataclass(frozen=True)
class Neurons:
    """Neurons in training, one group per line.

    Attributes:
        key, bias, value: as in `Patches`.
        own: pre-activation of each neuron at its own position.
        present: which neurons exist; lines have different numbers.
    """

    key: Float[Tensor, "line patch d_model"]
    bias: Float[Tensor, "line patch"]
    value: Float[Tensor, "line patch d_model"]
    own: Float[Tensor, "line patch"]
    present: Bool[Tensor, "line patch"]


@runtime_checkable
class Keeper(Protocol):
    """A memory loss with what it needs."""

    def loss(self, neurons: Neurons, validation: bool) -> Float[Tensor, " line"]:
        """Return the loss per line, on the memory that is trained on or on the one that is stopped by."""
        ...

    def select(self, lines: Sequence[int]) -> "Keeper":
        """Return the memory of some lines."""
        ...


class _Largest(torch.autograd.Function):
    """l_m of exponential penalties, of which few terms count, with its gradient by key, bias and own response.

    The derivative of the mean of the k largest exponentials by a response is that exponential's share of the mean.
    """

    @staticmethod
    def forward(ctx, key, bias, own, keeper, base, exists):
        """Return l_m per line; the gradients are made at once, from the same terms."""
        patches = key.shape[1]
        responses = keeper.responses(base, key, bias)
        if exists is not None:
            responses = responses.masked_fill(~exists, -math.inf)
        total = 0
        by_key, by_bias, by_own = torch.zeros_like(key), torch.zeros_like(bias), None
        kept, indices, found = 0, None, None
        for penalty, offset in keeper.weigh.terms(own):
            if patches > 1 or penalty.kept(keeper.repeat) != kept:  # one neuron's terms all rank as its responses do
                kept = penalty.kept(keeper.repeat)
                ranking = (responses + offset[:, None]).flatten(1)
                indices = ranking.topk(kept, dim=1, sorted=True).indices
                found = keeper.rows_at(base, indices // patches)
            values = responses.flatten(1).gather(1, indices) + offset.gather(1, indices % patches)
            shares = penalty.shares(values, keeper.repeat)
            total = total + shares.sum(1)
            moving = shares * (values < LARGEST)
            belongs = nn.functional.one_hot(indices % patches, patches).to(key) * moving[..., None]
            by_key += torch.bmm(belongs.mT, found)
            by_bias += belongs.sum(1)
            by_own = -belongs.sum(1) if by_own is None else by_own  # only l_m1 compares with the neuron's own response
        ctx.save_for_backward(by_key, by_bias, by_own)
        return total

    @staticmethod
    def backward(ctx, by_line):
        """Return the gradients, each line's by what its loss weighs."""
        by_key, by_bias, by_own = ctx.saved_tensors
        return by_key * by_line[:, None, None], by_bias * by_line[:, None], by_own * by_line[:, None], None, None, None


@dataclass(frozen=True)
class RememberedInputs:
    """l_m: remembered inputs shall leave the neurons inactive (§4.2).

    Attributes:
        train, validation: inputs that all lines remember.
        mended: per line, the inputs (past, d_model) of its stream's earlier mistakes.
        weigh: the loss.
        repeat: see `Penalty`.
    """

    train: Float[Tensor, "memory d_model"]
    validation: Float[Tensor, "held_out d_model"]
    mended: tuple[Tensor, ...]
    weigh: MemoryLoss
    repeat: int

    def loss(self, neurons: Neurons, validation: bool) -> Float[Tensor, " line"]:
        """Return l_m per line.

        Of the largest terms of an exponential penalty the gradient is written down rather than traced.

        Cost: 2·(|memory| + past)·patches·d_model FLOP per line, as one matrix product for all lines.
        """
        base = self.validation if validation else self.train
        exists = self._exists(base, neurons)
        terms = self.weigh.terms(neurons.own)
        counting = [penalty.kept(self.repeat) for penalty, _ in terms]
        if any(kept is None or kept >= exists[0].numel() for kept in counting) or terms[0][0].shape != "exp":
            return self.weigh(self.responses(base, neurons.key, neurons.bias), neurons.own, exists, self.repeat)
        mask = None if self._complete(neurons) else exists
        return _Largest.apply(neurons.key, neurons.bias, neurons.own, self, base, mask)

    def responses(self, base: Tensor, key: Tensor, bias: Tensor) -> Float[Tensor, "line memory patch"]:
        """Return the neurons' responses to all remembered inputs."""
        lines, patches, d_model = key.shape
        # With the inputs as columns few keys cost a quarter of what they cost with the inputs as rows.
        found = (key.reshape(-1, d_model) @ self._columns[base is self.validation]).unflatten(0, (lines, patches)).mT
        past, _ = self._past
        if past.shape[1]:
            found = torch.cat([found, torch.bmm(past, key.mT)], 1)
        return found + bias[:, None]

    @cached_property
    def _columns(self) -> tuple[Tensor, Tensor]:
        """The shared inputs as columns: those that are trained on, and those that are stopped by."""
        return self.train.T.contiguous(), self.validation.T.contiguous()

    def rows_at(self, base: Tensor, place: Int[Tensor, "line kept"]) -> Float[Tensor, "line kept d_model"]:
        """Return remembered inputs by their places: first those that all lines share, then the line's own."""
        rows = base[place.clamp(max=len(base) - 1)]
        past, _ = self._past
        if past.shape[1]:
            own = (place - len(base)).clamp(min=0)[..., None].expand(-1, -1, past.shape[2])
            rows = torch.where((place < len(base))[..., None], rows, past.gather(1, own))
        return rows

    def _exists(self, base: Tensor, neurons: Neurons) -> Bool[Tensor, "line memory patch"]:
        _, known = self._past
        everywhere = known.new_ones(len(known), len(base))
        return torch.cat([everywhere, known], 1)[..., None] & neurons.present[:, None]

    def _complete(self, neurons: Neurons) -> bool:
        return self._all_known and bool(neurons.present.all())

    @cached_property
    def _all_known(self) -> bool:
        return bool(self._past[1].all())

    @cached_property
    def _past(self) -> tuple[Tensor, Tensor]:
        """The lines' earlier mistakes, padded, and which of them there are."""
        most = max(map(len, self.mended))
        past = self.train.new_zeros(len(self.mended), most, self.train.shape[1])
        for line, own in enumerate(self.mended):
            past[line, : len(own)] = own
        counts = torch.tensor([len(own) for own in self.mended], device=past.device)
        return past, torch.arange(most, device=past.device)[None] < counts[:, None]

    def select(self, lines: Sequence[int]) -> "RememberedInputs":
        """Return the memory of some lines."""
        return RememberedInputs(
            self.train, self.validation, tuple(self.mended[line] for line in lines), self.weigh, self.repeat
        )


@dataclass(frozen=True)
class RememberedPredictions:
    """KL(unedited ‖ patched) on remembered inputs: the ablation of l_m (Table 3).

    Attributes:
        layer: the last layer with the model around it.
        query: remembered inputs.
        before: the unedited model's predictions there.
        summed: per line, the sums of its stream's current model there.
    """

    layer: LastLayer
    query: Float[Tensor, "memory d_model"]
    before: Float[Tensor, "memory out"]
    summed: Float[Tensor, "line memory d_model"]

    def loss(self, neurons: Neurons, validation: bool) -> Float[Tensor, " line"]:
        """Return the mean divergence per line (nats); there is one memory for training and for stopping.

        Cost: the head, forward and backward, on all remembered inputs of each line.
        """
        active = self.layer.activation(self.query[None] @ neurons.key.mT + neurons.bias[:, None])
        after = self.layer.logits(self.summed + torch.bmm(active * neurons.present[:, None], neurons.value))
        return divergence(self.before[None].expand_as(after), after, self.layer.binary).mean(-1)

    def select(self, lines: Sequence[int]) -> "RememberedPredictions":
        """Return the memory of some lines."""
        return RememberedPredictions(self.layer, self.query, self.before, self.summed[list(lines)])
