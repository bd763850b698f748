"""Knowledge neurons of encoder-decoders: those of the decoder, at the step that predicts a token of the answer.

The encoder reads the question once. A changed neuron can reach the decoder alone, so every scaled copy of a prompt runs
the few tokens of the answer before the asked one, against stored states of the question.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers.activations import ACT2FN
from transformers.modeling_outputs import BaseModelOutput

from papers.kn.network import ACTIVATION, CleanRun, Cloze, Network, multiplied, watched
from shared.errors import DataError, ModelError
from shared.inference.answers import answer_ids
from shared.model.architectures import Architecture
from shared.model.hooks import replace


@dataclass(frozen=True)
class AnswerCloze(Cloze):
    """A question with the beginning of its answer; `ids` holds both.

    Attributes:
        read: how many of the ids are the question's, which the encoder reads; the others are the decoder's input.
    """

    read: int = 0


@dataclass(frozen=True)
class _State:
    """What the encoder made of the questions, and the decoder's input."""

    encoded: Float[Tensor, "prompt pos d_model"]
    decoded: Int[Tensor, "prompt step"]


class AnswerNetwork(Network):
    """An encoder-decoder; the answer's place is the decoder's last token."""

    @property
    def stack(self) -> Architecture:
        """The decoder, whose neurons are looked at."""
        return self.lm.arch.decoder

    def encode(self, template: str, subject: str, answer: str) -> Cloze | None:
        """Return None: a statement with a gap is no question."""

    def gap(self, before: str, after: str) -> Cloze | None:
        """Return None: a text with a gap is no question."""

    def cloze(self, prompt: str, answer: str) -> AnswerCloze:
        """Return a question whose answer is one token.

        Raises:
            DataError: the answer has several.
        """
        found = self.answer_clozes(prompt, answer)
        if len(found) != 1:
            raise DataError(f"the answer {answer!r} has {len(found)} tokens, expected one")
        return found[0]

    def answer_clozes(self, question: str, answer: str) -> list[AnswerCloze]:
        """Return one prompt for each token of an answer: the question, and the answer before that token.

        The end token is none of them: it says that the answer ends, not what it is.
        """
        asked = self.lm.tokenizer.encode(question)
        *tokens, _end = answer_ids(self.lm, answer)
        start = self.lm.model.config.decoder_start_token_id
        found = []
        for step, token in enumerate(tokens):
            ids = (*asked, start, *tokens[:step])
            found.append(AnswerCloze(ids, len(ids) - 1, token, len(asked)))
        return found

    def groups(self, clozes: Sequence[AnswerCloze], copies: int, max_tokens: int) -> Iterator[list[int]]:
        """Yield indices of prompts whose questions are equally long, and whose answers are; see `Network.groups`."""
        by_question: dict[int, list[int]] = {}
        for index, cloze in enumerate(clozes):
            by_question.setdefault(cloze.read, []).append(index)
        for _, members in sorted(by_question.items()):
            for group in super().groups([clozes[index] for index in members], copies, max_tokens):
                yield [members[place] for place in group]

    @torch.no_grad()
    def clean(self, clozes: Sequence[AnswerCloze]) -> CleanRun:
        """Run prompts of one length unchanged."""
        device, read = self.lm.device, clozes[0].read
        ids = torch.tensor([cloze.ids for cloze in clozes], device=device)
        encoded = self.lm.model.get_encoder()(input_ids=ids[:, :read]).last_hidden_state
        state = _State(encoded, ids[:, read:])
        layers = range(self.n_layers)
        with watched(self) as seen:
            logits = self._decoded(state, 1)
        before, after = (torch.stack([part[str(layer)][:, -1] for layer in layers], 1) for part in seen)
        return CleanRun(clozes, before, after, logits, state)

    def _decoded(self, state: _State, copies: int) -> Float[Tensor, "row vocab"]:
        """Return predictions at the last step; rows are copies of all prompts, one copy after another."""
        encoded = state.encoded.repeat(copies, 1, 1)
        found = self.lm.model(
            encoder_outputs=BaseModelOutput(last_hidden_state=encoded),
            attention_mask=torch.ones(encoded.shape[:2], dtype=torch.long, device=encoded.device),
            decoder_input_ids=state.decoded.repeat(copies, 1),
            use_cache=False,
        )
        return found.logits[:, -1]

    def resume(
        self, clean: CleanRun, layer: int, change: Float[Tensor, "copy prompt d_model"]
    ) -> Float[Tensor, "copy prompt vocab"]:
        """Return predictions when the feed-forward output of `layer` at the answer's place moves by `change`.

        Cost: one pass of the decoder over the answers before the asked token, per copy and prompt.
        """

        def moved(_index: int, output: Tensor) -> Tensor:
            return torch.cat([output[:, :-1], (output[:, -1] + change.flatten(0, 1))[:, None]], 1)

        with ExitStack() as stack:
            stack.enter_context(replace([self.stack.mlp_out(layer)], moved))
            return self._decoded(clean.state, len(change)).unflatten(0, change.shape[:2])

    @torch.no_grad()
    def scaled(
        self, clean: CleanRun, factors: Float[Tensor, "copy prompt layer d_mlp"], site: str = ACTIVATION
    ) -> Float[Tensor, "copy prompt vocab"]:
        """Return predictions when all layers' neurons at the answer's place are multiplied by `factors`."""
        rows = factors.flatten(0, 1)
        last = torch.full((len(rows),), clean.state.decoded.shape[1] - 1, device=rows.device)
        with multiplied(self, rows[:, None], site, last):
            return self._decoded(clean.state, len(factors)).unflatten(0, factors.shape[:2])

    def activation(self) -> nn.Module:
        """Return the activation function between the two feed-forward maps.

        Raises:
            ModelError: the model gates its feed-forward layers.
        """
        config = self.lm.model.config
        if getattr(config, "is_gated_act", False):
            raise ModelError(f"{self.lm.name} gates its feed-forward layers: no plain activation before its values")
        name = getattr(config, "dense_act_fn", None)
        return ACT2FN[name] if name else super().activation()
