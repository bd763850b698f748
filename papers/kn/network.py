"""What knowledge neurons need of a model: its activations at the answer's place, and how the answer follows from them.

Three networks offer this: `papers.kn.masked` (the answer stands at a mask token), `papers.kn.causal` (it follows the
last token) and `papers.kn.answers_network` (an encoder-decoder answers a question). All work on groups of prompts with
equally many tokens, so nothing is padded, and recompute only what a changed neuron can reach.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers.activations import ACT2FN

from shared.errors import ModelError
from shared.model.forward import token_batches
from shared.model.hooks import capture, replace, replace_inputs
from shared.model.models import LM, Architecture

# Where a neuron is read and changed: after the nonlinearity, or before it (the re-implementation for GPT models).
ACTIVATION, PREACTIVATION = SITES = ("activation", "preactivation")
ACTIVATION_FIELDS = ("activation_function", "hidden_act", "hidden_activation")


@dataclass(frozen=True)
class Cloze:
    """A prompt as tokens; the model's prediction at `position` is compared with the token `answer`."""

    ids: tuple[int, ...]
    position: int
    answer: int


@dataclass(frozen=True)
class CleanRun:
    """The unchanged pass over prompts of one length.

    Attributes:
        clozes: the prompts.
        preactivations: what leaves each layer's first feed-forward map at the answer's place.
        activations: what enters its second one.
        logits: predictions at the answer's place.
        state: what the network needs to go on from a layer; its own business.
    """

    clozes: Sequence[Cloze]
    preactivations: Float[Tensor, "prompt layer d_mlp"]
    activations: Float[Tensor, "prompt layer d_mlp"]
    logits: Float[Tensor, "prompt vocab"]
    state: Any

    @property
    def answers(self) -> Int[Tensor, " prompt"]:
        """The answers' token ids."""
        return torch.tensor([cloze.answer for cloze in self.clozes], device=self.logits.device)

    @property
    def probabilities(self) -> Float[Tensor, " prompt"]:
        """Probability of each prompt's answer."""
        return self.logits.softmax(-1).gather(1, self.answers[:, None])[:, 0]


class Network(ABC):
    """A model as knowledge neurons see it.

    Attributes:
        lm: the model with its parts.
        tokens_per_copy: how many tokens of a prompt one changed copy recomputes: all (`None`) or a number.
    """

    tokens_per_copy: int | None = None

    def __init__(self, lm: LM):
        self.lm = lm

    @property
    def stack(self) -> Architecture:
        """The blocks whose neurons are looked at."""
        return self.lm.arch

    @property
    def n_layers(self) -> int:
        """Number of feed-forward layers."""
        return self.stack.n_layers

    @property
    def d_mlp(self) -> int:
        """Neurons of one layer."""
        return self.stack.d_mlp

    @abstractmethod
    def encode(self, template: str, subject: str, answer: str) -> Cloze | None:
        """Return a ParaRel template with its subject as tokens, or None where the network cannot be asked so.

        Args:
            template: with `[X]` for the subject and `[Y]` for the answer.
        """

    @abstractmethod
    def cloze(self, prompt: str, answer: str) -> Cloze:
        """Return a prompt as its users write it: with the mask token, or up to where the answer begins.

        Raises:
            DataError: there is not one mask, or the answer is not one token.
        """

    @abstractmethod
    def gap(self, before: str, after: str) -> Cloze | None:
        """Return a text with a gap to be filled, or None where it is too long or has nothing to predict from.

        The answer is unknown (the padding token): only the neurons at the gap are of interest.
        """

    @abstractmethod
    def clean(self, clozes: Sequence[Cloze]) -> CleanRun:
        """Run prompts of one length unchanged."""

    @abstractmethod
    def resume(
        self, clean: CleanRun, layer: int, change: Float[Tensor, "copy prompt d_model"]
    ) -> Float[Tensor, "copy prompt vocab"]:
        """Return predictions when the feed-forward output of `layer` at the answer's place moves by `change`."""

    @abstractmethod
    def scaled(
        self, clean: CleanRun, factors: Float[Tensor, "copy prompt layer d_mlp"], site: str = ACTIVATION
    ) -> Float[Tensor, "copy prompt vocab"]:
        """Return predictions when all layers' neurons at the answer's place are multiplied by `factors`."""

    def values(self, layer: int) -> Float[Tensor, "d_mlp d_model"]:
        """Return the value vectors of a layer: row i is what neuron i adds to the residual stream."""
        module = self.stack.mlp_out(layer)
        return module.weight if Architecture.input_first(module) else module.weight.T

    def groups(self, clozes: Sequence[Cloze], copies: int, max_tokens: int) -> Iterator[list[int]]:
        """Yield indices of equally long prompts, so many that `copies` of them hold at most `max_tokens` tokens."""
        by_length: dict[int, list[int]] = {}
        for index, cloze in enumerate(clozes):
            by_length.setdefault(len(cloze.ids), []).append(index)
        for length, members in sorted(by_length.items()):
            cost = max(copies * (self.tokens_per_copy or length), length)
            for batch in token_batches([cost] * len(members), max_tokens):
                yield [members[place] for place in sorted(batch)]

    def activation(self) -> nn.Module:
        """Return the activation function between the two feed-forward maps.

        Raises:
            ModelError: the model gates its feed-forward layers, or does not name its activation.
        """
        config = self.lm.model.config
        name = next((getattr(config, field) for field in ACTIVATION_FIELDS if getattr(config, field, None)), None)
        if name not in ACT2FN or self.lm.arch.family == "llama":
            raise ModelError(f"the {self.lm.arch.family} model has no plain activation function before its values")
        return ACT2FN[name]


@contextmanager
def multiplied(
    network: Network,
    factors: Float[Tensor, "row query layer d_mlp"],
    site: str,
    positions: Int[Tensor, " row"] | None = None,
) -> Iterator[None]:
    """Multiply the neurons of all layers inside the context.

    Args:
        factors: one per row, query and layer.
        site: `activation` or `preactivation`.
        positions: where each row is changed; all its tokens are the queries if absent.
    """
    layers = range(network.n_layers)

    def change(layer: int, neurons: Tensor) -> Tensor:
        if positions is None:
            return neurons * factors[:, :, layer]
        rows = torch.arange(len(neurons), device=neurons.device)
        return neurons.index_put((rows, positions), neurons[rows, positions] * factors[:, 0, layer])

    if site == PREACTIVATION:
        changed = replace([network.stack.mlp_in(layer) for layer in layers], change)
    else:
        changed = replace_inputs([network.stack.mlp_out(layer) for layer in layers], change)
    with changed:
        yield


@contextmanager
def watched(network: Network) -> Iterator[list[dict[str, Tensor]]]:
    """Collect what leaves each layer's first feed-forward map and what enters its second, by layer, in this order."""
    layers = range(network.n_layers)
    with ExitStack() as stack:
        leaving = stack.enter_context(capture({str(layer): network.stack.mlp_in(layer) for layer in layers}))
        entering = {str(layer): network.stack.mlp_out(layer) for layer in layers}
        yield [leaving, stack.enter_context(capture(entering, inputs=True))]
