"""Causal tracing one cell at a time: a whole hooked forward pass of the Hugging Face model for each (token, layer).

This is how the authors' code works; tests and benchmarks hold the engine against it.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from shared.model.hooks import first_tensor
from shared.model.models import LM
from shared.traces.trace_runs import Corruption, TracedFact
from shared.traces.tracing import Restoration


@contextmanager
def _hooked(edits: Sequence[tuple[nn.Module, object]]) -> Iterator[None]:
    def hook_for(change):
        def hook(_module, _args, output):
            changed = first_tensor(output).clone()
            change(changed)
            return (changed, *output[1:]) if isinstance(output, tuple) else changed

        return hook

    with ExitStack() as stack:
        for module, change in edits:
            stack.callback(module.register_forward_hook(hook_for(change)).remove)
        yield


class Oracle:
    """Batches of one clean row and `samples` corrupted ones; row 0 of every hooked output is the clean value."""

    def __init__(self, lm: LM, fact: TracedFact, corruption: Corruption):
        self.lm, self.fact, self.how = lm, fact, corruption
        self.ids = torch.tensor([[*fact.ids, *(fact.target or ())]]).repeat(corruption.samples + 1, 1)
        with torch.no_grad():
            greedy = lm.model(torch.tensor([fact.ids])).logits[0, -1].argmax().item()
        self.target = fact.target or (greedy,)

    def noise(self, draws: int = 1) -> Float[Tensor, "sample token d_model"]:
        """Return the fact's n-th noise draw."""
        random = np.random.RandomState(self.how.seed)
        tokens = min(self.fact.stop + self.how.extra_tokens, len(self.fact.ids)) - self.fact.start
        for _ in range(draws):
            drawn = self.how.noise.draw(random, self.how.samples, tokens, self.lm.arch.d_model)
        return drawn

    @torch.no_grad()
    def probability(self, edits: Sequence[tuple[nn.Module, object]], draw: int = 1) -> Float[Tensor, " row"]:
        """Return the joint probability of the target in each row of one forward pass."""
        noise = self.noise(draw)
        span = slice(self.fact.start, self.fact.start + noise.shape[1])

        def corrupt(x: Tensor) -> None:
            x[1:, span] = (noise if self.how.noise.replace else x[1:, span].double() + noise).float()

        with _hooked([(self.lm.arch.embedding, corrupt), *edits]):
            scores = self.lm.model(self.ids).logits.log_softmax(-1)
        first = len(self.fact.ids) - 1
        return sum(scores[:, first + k, token] for k, token in enumerate(self.target)).exp()

    def _module(self, kind: str, layer: int) -> nn.Module:
        arch = self.lm.arch
        return {"state": arch.block, "mlp": arch.mlp, "attention": arch.attention}[kind](layer)

    def restored(self, restoration: Restoration, position: int, layer: int) -> float:
        """Return one cell."""

        def restore(x: Tensor) -> None:
            x[1:, position] = x[0, position]

        layers = restoration.layers(layer, self.lm.arch.n_layers)
        edits = [(self._module(restoration.kind, other), restore) for other in layers]
        return self.probability(edits)[1:].mean().item()

    def scores(self, restoration: Restoration) -> Float[Tensor, "pos layer"]:
        """Return all cells."""
        layers = range(self.lm.arch.n_layers)
        return torch.tensor(
            [[self.restored(restoration, t, layer) for layer in layers] for t in range(len(self.fact.ids))]
        )

    def severed(self, site: str, draw: int) -> Float[Tensor, " layer"]:
        """Return the severed curve: `site` frozen at draw 1's outputs, in runs under noise draw `draw`."""
        position, layers, kept = self.fact.stop - 1, range(self.lm.arch.n_layers), {}

        def keep(layer: int):
            return lambda x: kept.__setitem__(layer, x[1:, position].clone())

        self.probability([(self._module(site, layer), keep(layer)) for layer in layers])

        def freeze(layer: int):
            return lambda x: x[1:, position].copy_(kept[layer])

        def restore(x: Tensor) -> None:
            x[1:, position] = x[0, position]

        frozen = [(self._module(site, layer), freeze(layer)) for layer in layers]
        curve = [self.probability([*frozen, (self._module("state", layer), restore)], draw) for layer in layers]
        return torch.stack(curve)[:, 1:].mean(1)
