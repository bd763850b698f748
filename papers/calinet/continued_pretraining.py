"""The comparison of the paper, C.P.: all parameters are trained on the same statements (§4.1)."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from papers.calinet.slots import statement_loss
from shared.errors import ConfigError, NumericalError
from shared.inference.text_batches import TextRow
from shared.model.models import LM
from shared.seeding import seed_for


@dataclass(frozen=True)
class PretrainingSettings:
    """How the model is trained: updates, rate of Adam, and statements of an update."""

    steps: int = 200
    lr: float | int = 1e-3
    rows: int = 32

    def __post_init__(self) -> None:
        if min(self.steps, self.rows) < 1 or not self.lr > 0:
            raise ConfigError(f"steps {self.steps}, rows {self.rows}, lr {self.lr}: all above 0")


@contextmanager
def pretrained(lm: LM, rows: Sequence[TextRow], settings: PretrainingSettings, seed: int = 0) -> Iterator[list[float]]:
    """Train the model on statements inside the context, and put its weights back afterwards; yields the losses.

    Raises:
        NumericalError: the loss is not finite.
    """
    parameters = list(lm.model.parameters())
    originals = [parameter.detach().clone() for parameter in parameters]
    required = [parameter.requires_grad for parameter in parameters]
    optimiser = torch.optim.Adam(parameters, lr=settings.lr)
    generator = torch.Generator().manual_seed(seed_for("calinet", "batches", seed))
    losses: list[float] = []
    try:
        for parameter in parameters:
            parameter.requires_grad_(True)
        for step in range(settings.steps):
            chosen = torch.randperm(len(rows), generator=generator)[: settings.rows].tolist()
            with torch.enable_grad():
                loss = statement_loss(lm, [rows[index] for index in chosen])
            losses.append(float(loss.detach()))
            if not torch.isfinite(loss):
                raise NumericalError(f"pretraining: the loss became {losses[-1]} at step {step}; lower lr")
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        yield losses
    finally:
        with torch.no_grad():
            for parameter, original, wanted in zip(parameters, originals, required, strict=True):
                parameter.copy_(original)
                parameter.requires_grad_(wanted)
