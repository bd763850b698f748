"""Calibration slots (§3): neurons beside those of one feed-forward layer, trained on statements of the right facts.

The slots write act(LN(h)·key)·value beside the layer's own output; they have no biases. In the last layer everything
that the slots do not change is computed once: the layer's input and the sum that it joins, at every token of an object.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from papers.calinet.calibration_facts import CalibrationFact
from shared.edits.added_neurons import AddedNeurons, attach
from shared.edits.deltas import Edit
from shared.errors import ConfigError, NumericalError
from shared.inference.last_layer import LastLayer, States
from shared.inference.text_batches import IGNORED, TextRow, collate, encode_row, predictions
from shared.model.models import LM
from shared.seeding import seed_for

DEFAULT, ZERO_OUT = STARTS = ("default", "zero_out")


@dataclass(frozen=True)
class SlotSettings:
    """How slots are trained.

    Attributes:
        slots: how many (d_c).
        layer: block of the layer; None for the last.
        steps, lr: of Adam.
        rows: statements of an update; of the last layer's cached object tokens, so many.
        start: `default`: uniform within 1/√fan-in, as the authors' layers begin; `zero_out`: values begin at zero, so
            that the calibrated model begins as the uncalibrated one.
    """

    slots: int = 64
    layer: int | None = None
    steps: int = 300
    lr: float | int = 1e-2
    rows: int = 256
    start: str = DEFAULT

    def __post_init__(self) -> None:
        if min(self.slots, self.steps, self.rows) < 1 or not self.lr > 0:
            raise ConfigError(f"slots {self.slots}, steps {self.steps}, rows {self.rows}, lr {self.lr}: all above 0")
        if self.start not in STARTS:
            raise ConfigError(f"slots' start is {self.start!r}, expected one of {', '.join(STARTS)}")


@dataclass(frozen=True)
class Slots:
    """Slots of one layer."""

    layer: LastLayer
    key: Float[Tensor, "slot d_model"]
    value: Float[Tensor, "slot d_model"]

    def first(self, count: int) -> "Slots":
        """Return the first so many slots."""
        return Slots(self.layer, self.key[:count], self.value[:count])

    def neurons(self) -> AddedNeurons:
        """Return the slots as neurons of the model's layer."""
        return self.layer.neurons(self.key, self.key.new_zeros(len(self.key)), self.value)

    def edit(self) -> Edit:
        """Return the slots as an edit, which is applied and taken away."""
        return Edit((), {"slots": len(self.key)}, kind="neurons", neurons=(self.neurons(),))

    def summed(self, states: States) -> Float[Tensor, "pos d_model"]:
        """Return the sums after the last layer, with the slots' output."""
        return states.summed + self.layer.activation(states.query @ self.key.T) @ self.value


class SlotLayer(LastLayer):
    """Any feed-forward layer of a model, for slots; states are cached for the last one only."""

    def __init__(self, lm: LM, layer: int | None = None):
        super().__init__(lm)
        self.is_last = layer is None or layer == self.layer
        if not self.is_last:
            if not 0 <= layer < self.layer:
                raise ConfigError(f"layer {layer} does not exist: {lm.name} has layers 0 to {self.layer}")
            self.layer = layer
            self.up, self.down = self.stack.mlp_in(layer), self.stack.mlp_out(layer)
            self.activation_name, self.activation = self._find_activation()


def statements(lm: LM, facts: Sequence[CalibrationFact]) -> list[TextRow]:
    """Return the training wordings of all facts with their right objects."""
    return [encode_row(lm, prompt, fact.gold) for fact in facts for prompt in fact.train]


def begin(layer: SlotLayer, settings: SlotSettings, seed: int) -> Slots:
    """Return untrained slots."""
    width = layer.lm.arch.d_model
    generator = torch.Generator().manual_seed(seed_for("calinet", "slots", seed))
    key = (2 * torch.rand(settings.slots, width, generator=generator) - 1) * width**-0.5
    value = (2 * torch.rand(settings.slots, width, generator=generator) - 1) * settings.slots**-0.5
    if settings.start == ZERO_OUT:
        value = torch.zeros_like(value)
    return Slots(layer, key.to(layer.lm.device), value.to(layer.lm.device))


def calibrate(lm: LM, rows: Sequence[TextRow], settings: SlotSettings, seed: int = 0) -> Slots:
    """Train slots on statements; the model's own weights are not touched.

    Raises:
        NumericalError: the loss is not finite.

    Cost: in the last layer, per update the slots and the head on `rows` cached tokens; elsewhere a whole pass over
    `rows` statements, forward and backward.
    """
    layer = SlotLayer(lm, settings.layer)
    made = begin(layer, settings, seed)
    parameters = [made.key.requires_grad_(True), made.value.requires_grad_(True)]
    states = layer.observe(rows) if layer.is_last else None
    optimiser = torch.optim.Adam(parameters, lr=settings.lr)
    generator = torch.Generator().manual_seed(seed_for("calinet", "batches", seed))
    count = len(rows) if states is None else len(states.label)
    for step in range(settings.steps):
        chosen = torch.randperm(count, generator=generator)[: settings.rows]
        with torch.enable_grad():
            loss = (
                whole_loss(made, [rows[index] for index in chosen.tolist()])
                if states is None
                else cached_loss(made, states, chosen)
            )
        if not torch.isfinite(loss):
            raise NumericalError(f"calibration: the loss became {float(loss)} at step {step}; lower lr ({settings.lr})")
        for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
            parameter.grad = gradient
        optimiser.step()
    return Slots(layer, made.key.detach(), made.value.detach())


def cached_loss(slots: Slots, states: States, chosen: Tensor) -> Float[Tensor, ""]:
    """Return the mean negative log-likelihood (nats) of some cached tokens, with slots in the last layer."""
    own = States(
        states.query[chosen],
        states.summed[chosen],
        states.label[chosen],
        states.row[chosen],
        states.n_rows,
        states.rows,
    )
    return nn.functional.cross_entropy(slots.layer.logits(slots.summed(own)), own.label)


def whole_loss(slots: Slots, rows: Sequence[TextRow]) -> Float[Tensor, ""]:
    """Return the mean negative log-likelihood (nats) of the objects' tokens, from passes of the whole model."""
    with ExitStack() as stack:
        attach(stack, slots.layer.lm.model, [slots.neurons()], lambda _rows: None)
        return statement_loss(slots.layer.lm, rows)


def statement_loss(lm: LM, rows: Sequence[TextRow]) -> Float[Tensor, ""]:
    """Return the mean negative log-likelihood (nats) of the objects' tokens under the model as it is now."""
    batch = collate(lm, rows)
    lines, places = (batch.labels != IGNORED).nonzero(as_tuple=True)
    return nn.functional.cross_entropy(predictions(lm, batch)[lines, places], batch.labels[lines, places])
