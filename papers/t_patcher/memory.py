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

from papers.t_patcher.losses import LARGEST, MemoryLoss, Penalty, divergence
from shared.inference.last_layer import LastLayer


@dataclass(frozen=True)
class Neurons:
    """Neurons in training, one group per line.

    Attributes:
        key, bias, value: as in `Patches`.
        own: pre-activation of each neuron at its own position.
        present: which neurons exist; lines have different numbers.
        complete: whether all do.
    """

    key: Float[Tensor, "line patch d_model"]
    bias: Float[Tensor, "line patch"]
    value: Float[Tensor, "line patch d_model"]
    own: Float[Tensor, "line patch"]
    present: Bool[Tensor, "line patch"]
    complete: bool


@runtime_checkable
class Keeper(Protocol):
    """A memory loss with what it needs."""

    def loss(self, neurons: Neurons, validation: bool) -> Float[Tensor, " line"]:
        """Return the loss per line, on the memory that is trained on or on the one that is stopped by."""
        ...

    def select(self, lines: Sequence[int]) -> "Keeper":
        """Return the memory of some lines."""
        ...


@dataclass(frozen=True)
class Inputs:
    """Remembered inputs that all lines share."""

    rows: Float[Tensor, "memory d_model"]

    @cached_property
    def columns(self) -> Float[Tensor, "d_model memory"]:
        """The inputs as columns: few keys cost a quarter of what they cost with the inputs as rows."""
        return self.rows.T.contiguous()

    def __len__(self) -> int:
        return len(self.rows)


class _Largest(torch.autograd.Function):
    """l_m of exponential penalties, of which few terms count, with its gradient by key, bias and own response.

    The derivative of the mean of the k largest exponentials by a response is that exponential's share of the mean.
    """

    @staticmethod
    def forward(ctx, key, bias, own, keeper, base, exists):
        """Return l_m per line; the gradients are made at once, from the same terms."""
        responses = keeper.responses(base, key)
        if exists is not None:
            responses = responses.masked_fill(~exists, -math.inf)
        penalties, offsets = zip(*keeper.weigh.terms(own), strict=True)
        if key.shape[1] == 1 and len(set(penalties)) == 1:
            found = _of_one_neuron(keeper, base, responses[..., 0], penalties[0], torch.cat(offsets, 1) + bias)
        else:
            found = _of_several(keeper, base, responses, penalties, [offset + bias for offset in offsets])
        ctx.save_for_backward(*found[1:])
        return found[0]

    @staticmethod
    def backward(ctx, by_line):
        """Return the gradients, each line's by what its loss weighs."""
        by_key, by_bias, by_own = ctx.saved_tensors
        return by_key * by_line[:, None, None], by_bias * by_line[:, None], by_own * by_line[:, None], None, None, None


Sought = tuple[Tensor, Tensor, Tensor, Tensor]


def _of_one_neuron(
    keeper: "RememberedInputs", base: Inputs, responses: Tensor, penalty: Penalty, offsets: Tensor
) -> Sought:
    """Return l_m and its gradients of one neuron per line: its responses rank alike under all penalties.

    Args:
        responses: of each line's neuron to what it remembers, without its bias, (line, memory).
        offsets: what each penalty adds to them, the bias included, (line, penalty).
    """
    largest, places = responses.topk(penalty.kept(keeper.repeat), dim=1, sorted=True)
    values = largest[:, None] + offsets[..., None]
    shares = penalty.shares(values, keeper.repeat)
    moving = shares * (values < LARGEST)
    by_row = moving.sum(1, keepdim=True)
    by_key = torch.bmm(by_row, keeper.rows_at(base, places))
    # Only l_m1, the first penalty, compares with the neuron's own response.
    return shares.sum((1, 2)), by_key, by_row.sum(2), -moving[:, :1].sum(2)


def _of_several(
    keeper: "RememberedInputs",
    base: Inputs,
    responses: Tensor,
    penalties: Sequence[Penalty],
    offsets: Sequence[Tensor],
) -> Sought:
    """Return l_m and its gradients of several neurons per line, among whose responses together each penalty ranks."""
    patches = responses.shape[2]
    total, by_key, by_bias, by_own = 0, 0, 0, None
    for penalty, offset in zip(penalties, offsets, strict=True):
        values, places = (responses + offset[:, None]).flatten(1).topk(penalty.kept(keeper.repeat), dim=1, sorted=True)
        shares = penalty.shares(values, keeper.repeat)
        total = total + shares.sum(1)
        belongs = nn.functional.one_hot(places % patches, patches) * (shares * (values < LARGEST))[..., None]
        counted = belongs.sum(1)
        by_key = by_key + torch.bmm(belongs.mT, keeper.rows_at(base, places // patches))
        by_bias = by_bias + counted
        by_own = -counted if by_own is None else by_own  # of l_m1, which alone compares with the own response
    return total, by_key, by_bias, by_own


@dataclass(frozen=True)
class RememberedInputs:
    """l_m: remembered inputs shall leave the neurons inactive (§4.2).

    Attributes:
        train, validation: inputs that all lines remember.
        mended: per line, the inputs (past, d_model) of its stream's earlier mistakes.
        weigh: the loss.
        repeat: see `Penalty`.
    """

    train: Inputs
    validation: Inputs
    mended: tuple[Tensor, ...]
    weigh: MemoryLoss
    repeat: int

    def loss(self, neurons: Neurons, validation: bool) -> Float[Tensor, " line"]:
        """Return l_m per line.

        Of the largest terms of an exponential penalty the gradient is written down rather than traced.

        Cost: 2·(|memory| + past)·patches·d_model FLOP per line, as one matrix product for all lines.
        """
        base = self.validation if validation else self.train
        penalties = [penalty for penalty, _ in self.weigh.terms(neurons.own)]
        counting = [penalty.kept(self.repeat) for penalty in penalties]
        terms = (len(base) + self._past[0].shape[1]) * neurons.own.shape[1]
        if any(kept is None or kept >= terms for kept in counting) or penalties[0].shape != "exp":
            responses = self.responses(base, neurons.key) + neurons.bias[:, None]
            return self.weigh(responses, neurons.own, self.exists(base, neurons), self.repeat)
        mask = None if self._all_known and neurons.complete else self.exists(base, neurons)
        return _Largest.apply(neurons.key, neurons.bias, neurons.own, self, base, mask)

    def responses(self, base: Inputs, key: Tensor) -> Float[Tensor, "line memory patch"]:
        """Return the neurons' responses to all remembered inputs, without their biases."""
        lines, patches, d_model = key.shape
        found = (key.reshape(-1, d_model) @ base.columns).unflatten(0, (lines, patches))
        if self._past_columns.shape[2]:
            found = torch.cat([found, torch.bmm(key, self._past_columns)], 2)
        return found.mT

    def rows_at(self, base: Inputs, place: Int[Tensor, "line kept"]) -> Float[Tensor, "line kept d_model"]:
        """Return remembered inputs by their places: first those that all lines share, then the line's own."""
        past, _ = self._past
        if not past.shape[1]:
            return base.rows[place]
        rows = base.rows[place.clamp(max=len(base) - 1)]
        own = (place - len(base)).clamp(min=0)[..., None].expand(-1, -1, past.shape[2])
        return torch.where((place < len(base))[..., None], rows, past.gather(1, own))

    def exists(self, base: Inputs, neurons: Neurons) -> Bool[Tensor, "line memory patch"]:
        """Return which pairs of a remembered input and a neuron there are."""
        _, known = self._past
        everywhere = known.new_ones(len(known), len(base))
        return torch.cat([everywhere, known], 1)[..., None] & neurons.present[:, None]

    @cached_property
    def _all_known(self) -> bool:
        return bool(self._past[1].all())

    @cached_property
    def _past(self) -> tuple[Tensor, Tensor]:
        """The lines' earlier mistakes, padded, and which of them there are."""
        most = max(map(len, self.mended))
        past = self.train.rows.new_zeros(len(self.mended), most, self.train.rows.shape[1])
        for line, own in enumerate(self.mended):
            past[line, : len(own)] = own
        counts = torch.tensor([len(own) for own in self.mended], device=past.device)
        return past, torch.arange(most, device=past.device)[None] < counts[:, None]

    @cached_property
    def _past_columns(self) -> Tensor:
        return self._past[0].mT.contiguous()

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
