"""The last feed-forward layer of a model, and what the model computes after it.

Nothing after the last feed-forward layer mixes positions. Whatever neurons are added there, the layer's input at a
position, the sum that its output joins and everything before stay what they are: they are computed once, and a patched
model's logits follow from them by a norm and the head.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from shared.edits.added_neurons import AddedNeurons
from shared.errors import ModelError
from shared.inference.text_batches import CLASSIFIER, IGNORED, TextRow, collate, family_of, predictions
from shared.inference.verdicts import verdict_logits
from shared.model.architectures import EncoderDecoder
from shared.model.forward import token_batches
from shared.model.hooks import capture
from shared.model.models import LM

ACTIVATIONS = ("act", "act_fn", "activation_fn", "intermediate_act_fn")
TOLERANCE = 1e-3


@dataclass(frozen=True)
class States:
    """What the last layer reads, and the sum that its output joins, at every position that an answer is read at.

    Attributes:
        query: the layer's input.
        summed: the residual stream after the layer, before the norm that follows; without any patch.
        label: the token that each position shall predict; 0 or 1 for a classifier.
        row: the row that each position belongs to, in ascending order.
        n_rows: number of rows.
        rows: token ids of the rows.
    """

    query: Float[Tensor, "pos d_model"]
    summed: Float[Tensor, "pos d_model"]
    label: Int[Tensor, " pos"]
    row: Int[Tensor, " pos"]
    n_rows: int
    rows: tuple[TextRow, ...]

    def of_rows(self, rows: Sequence[int]) -> "States":
        """Return the states of some rows, which are numbered anew in the given order."""
        places = [(self.row == row).nonzero()[:, 0] for row in rows]
        index = torch.cat(places) if places else self.row[:0]
        numbers = [torch.full_like(place, number) for number, place in enumerate(places)]
        row = torch.cat(numbers) if places else self.row[:0]
        chosen = tuple(self.rows[number] for number in rows)
        return States(self.query[index], self.summed[index], self.label[index], row, len(rows), chosen)


class LastLayer:
    """The last feed-forward layer of one model, beside which neurons are added.

    Raises:
        ModelError: the layer's activation cannot be found.
    """

    def __init__(self, lm: LM):
        self.lm = lm
        self.stack = lm.arch.decoder if isinstance(lm.arch, EncoderDecoder) else lm.arch
        self.layer = self.stack.n_layers - 1
        self.binary = family_of(lm.model) == CLASSIFIER
        self.up, self.down = self.stack.mlp_in(self.layer), self.stack.mlp_out(self.layer)
        self.activation_name, self.activation = self._find_activation()

    def _find_activation(self) -> tuple[str, nn.Module]:
        inner = {id(module) for module in self.stack.block(self.layer).modules()}
        for name, module in self.lm.model.named_modules():
            if id(module) in inner and name.rpartition(".")[2] in ACTIVATIONS:
                return name, module
        raise ModelError(f"{self.lm.name}: layer {self.layer} has no activation module called {', '.join(ACTIVATIONS)}")

    @cached_property
    def norm(self) -> nn.Module:
        """The norm that the layer's output enters through a sum."""
        if self.stack.final_norm is not None:
            return self.stack.final_norm
        block = self.stack.block(self.layer)
        return block.output.LayerNorm if self.stack.family == "bert" else block.final_layer_norm

    def logits(self, summed: Float[Tensor, "*shape d_model"]) -> Float[Tensor, "*shape out"]:
        """Return the model's predictions from the sum after the last layer: the vocabulary's logits, or one for true.

        Cost: 2·d_model·vocabulary FLOP per position.
        """
        model, normed = self.lm.model, self.norm(summed)
        if self.binary:
            pooled = model.bert.pooler(normed.reshape(-1, 1, normed.shape[-1]))
            return verdict_logits(self.lm, model.classifier(pooled)).reshape(*normed.shape[:-1], 1)
        if getattr(model.config, "scale_decoder_outputs", False):
            normed = normed * self.lm.arch.d_model**-0.5  # T5 with tied embeddings
        found = self.stack.unembedding(normed)
        bias = getattr(model, "final_logits_bias", None)  # BART
        return found if bias is None else found + bias[0]

    def watched(self) -> AbstractContextManager[dict[str, Tensor]]:
        """Return a context in which every pass leaves its sums after the layer under `summed`."""
        return capture({"summed": self.norm}, inputs=True)

    @torch.no_grad()
    def observe(self, rows: Sequence[TextRow], max_tokens: int = 4096) -> States:
        """Return the states of all rows, from one forward pass of the unpatched model.

        Raises:
            ModelError: the model's own logits do not follow from the states; its head has parts unknown here.
        """
        found: dict[int, tuple[Tensor, Tensor, Tensor]] = {}
        for indices in token_batches([len(row.source) + len(row.target) for row in rows], max_tokens):
            batch = collate(self.lm, [rows[index] for index in indices])
            with capture({"query": self.up}, inputs=True) as into, self.watched() as sums:
                logits = predictions(self.lm, batch)
            query, summed = into["query"], sums["summed"]
            if self.binary:
                query, summed = query[:, :1], summed[:, :1]
            told = self.answers(summed, [rows[index] for index in indices])
            worst = float((told - logits)[batch.labels != IGNORED].abs().max())
            if worst > TOLERANCE * max(1.0, float(logits.abs().max())):
                raise ModelError(
                    f"{self.lm.name}: logits computed from the last layer differ from the model's by {worst:.2g}; "
                    "its head has parts that are not known here"
                )
            for line, index in enumerate(indices):
                places = batch.labels[line] != IGNORED
                found[index] = (query[line, places], summed[line, places], batch.labels[line, places])
        parts = [found[index] for index in range(len(rows))]
        counts = torch.tensor([len(label) for _, _, label in parts], device=self.lm.device)
        row = torch.repeat_interleave(torch.arange(len(rows), device=self.lm.device), counts)
        columns = (torch.cat(column) for column in zip(*parts, strict=True))
        return States(*columns, row, len(rows), tuple(rows))

    def neurons(
        self,
        key: Float[Tensor, "patch d_model"],
        bias: Float[Tensor, " patch"],
        value: Float[Tensor, "patch d_model"],
    ) -> AddedNeurons:
        """Return patches as neurons of the whole model's last layer."""
        names = (self.lm.arch.name_of(self.up), self.lm.arch.name_of(self.down), self.activation_name)
        return AddedNeurons(*names, key, bias, value)

    def answers(
        self, summed: Float[Tensor, "line pos d_model"], rows: Sequence[TextRow]
    ) -> Float[Tensor, "line pos out"]:
        """Return the model's predictions at the answers' positions of some rows, padded as a batch of them is."""
        return self.logits(summed)

    def predicted(
        self, states: States, summed: Float[Tensor, "pos d_model"] | None = None, block: int = 4096
    ) -> Int[Tensor, " pos"]:
        """Return the most probable token at each position, or 1 for true and 0 for false.

        Args:
            summed: sums of a patched model; those of the unpatched one if absent.
        """
        summed = states.summed if summed is None else summed
        return self.most_probable([self.logits(part) for part in summed.split(block)], summed)

    def most_probable(self, parts: Sequence[Float[Tensor, "part out"]], like: Tensor) -> Int[Tensor, " pos"]:
        """Return the most probable token of each prediction; none for no prediction."""
        found = [(part[:, 0] > 0).long() if self.binary else part.argmax(-1) for part in parts]
        return torch.cat(found) if found else torch.zeros(0, dtype=torch.long, device=like.device)

    @torch.no_grad()
    def right(self, states: States, summed: Float[Tensor, "pos d_model"] | None = None) -> Tensor:
        """Return, per row, whether every token of its answer is the most probable one.

        That is the case exactly if greedy decoding gives the answer's tokens, the end token included where it is part.

        Args:
            summed: sums of a patched model; those of the unpatched one if absent.
        """
        wrong = self.predicted(states, summed) != states.label
        counts = torch.zeros(states.n_rows, dtype=torch.long, device=wrong.device)
        return counts.index_add_(0, states.row, wrong.long()) == 0
