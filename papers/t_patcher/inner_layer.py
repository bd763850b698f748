"""Patches in an earlier feed-forward layer: the paper's ablation of their place (appendix).

What follows the layer mixes positions, so that the model's later blocks are run again with every change. In the
decoder of an encoder-decoder the answer's positions are all there are, and what the encoder says is computed once.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutput

from shared.errors import ConfigError
from shared.inference.last_layer import LastLayer, States
from shared.inference.text_batches import TextBatch, TextRow, collate
from shared.model.architectures import EncoderDecoder
from shared.model.forward import token_batches
from shared.model.hooks import capture, replace
from shared.model.models import LM

ENCODED = 4  # batches of rows whose encodings are kept


class InnerLayer(LastLayer):
    """A feed-forward layer of a decoder that has an encoder, with the model's later blocks behind it.

    Raises:
        ConfigError: the model has no encoder, or the layer is the last one or does not exist.
    """

    def __init__(self, lm: LM, layer: int):
        super().__init__(lm)
        if not isinstance(lm.arch, EncoderDecoder):
            raise ConfigError(f"{lm.name}: patches in an inner layer need an encoder-decoder")
        if not 0 <= layer < self.layer:
            raise ConfigError(f"layer {layer}: the inner layers of this decoder are 0 to {self.layer - 1}")
        self.layer = layer
        self.up, self.down = self.stack.mlp_in(layer), self.stack.mlp_out(layer)
        self.activation_name, self.activation = self._find_activation()
        self._encoded: dict[tuple[TextRow, ...], tuple[TextBatch, Tensor]] = {}

    @property
    def closing(self) -> nn.Module | None:
        """The norm that ends the block, in models that have theirs after the sum."""
        return None if self.stack.final_norm is not None else self.stack.block(self.layer).final_layer_norm

    def watched(self) -> AbstractContextManager[dict[str, Tensor]]:
        """Return a context in which every pass leaves its sums after the layer under `summed`."""
        if self.closing is not None:
            return capture({"summed": self.closing}, inputs=True)
        return capture({"summed": self.stack.block(self.layer)})

    def answers(
        self, summed: Float[Tensor, "line pos d_model"], rows: Sequence[TextRow]
    ) -> Float[Tensor, "line pos out"]:
        """Return the predictions that follow from sums at all positions of the answers.

        Cost: one pass of the decoder; the encoder's is kept for the batches asked last.
        """
        batch, encoded = self._encoding(tuple(rows))
        left = summed if self.closing is None else self.closing(summed)
        with replace([self.stack.block(self.layer)], lambda _index, _output: left):
            return self.lm.model(
                encoder_outputs=BaseModelOutput(encoded),
                attention_mask=batch.inputs["attention_mask"],
                decoder_input_ids=batch.inputs["decoder_input_ids"],
                use_cache=False,
            ).logits

    def _encoding(self, rows: tuple[TextRow, ...]) -> tuple[TextBatch, Tensor]:
        if rows not in self._encoded:
            while len(self._encoded) >= ENCODED:
                self._encoded.pop(next(iter(self._encoded)))
            batch = collate(self.lm, rows)
            told = {name: batch.inputs[name] for name in ("input_ids", "attention_mask")}
            with torch.no_grad():
                self._encoded[rows] = batch, self.lm.model.get_encoder()(**told).last_hidden_state
        return self._encoded[rows]

    @torch.no_grad()
    def predicted(
        self, states: States, summed: Float[Tensor, "pos d_model"] | None = None, block: int = 4096
    ) -> Int[Tensor, " pos"]:
        """Return the most probable token at each position, from whole rows."""
        summed = states.summed if summed is None else summed
        found = torch.zeros_like(states.label)
        counts = [len(row.target) for row in states.rows]
        places = torch.arange(len(states.label), device=summed.device).split(counts)
        for indices in token_batches([len(row.source) + len(row.target) for row in states.rows], block):
            batch = nn.utils.rnn.pad_sequence([summed[places[index]] for index in indices], batch_first=True)
            logits = self.answers(batch, [states.rows[index] for index in indices])
            for line, index in enumerate(indices):
                found[places[index]] = logits[line, : counts[index]].argmax(-1)
        return found
