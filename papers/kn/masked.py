"""Knowledge neurons of masked models (BERT): the answer stands at the mask token.

Every token sees every other, so above a changed layer the whole prompt is recomputed; but not the layers below it, and
no padding. In the changed layer itself only the mask token's feed-forward output moves, so that layer is not run again:
its last sum is stored before the norm, and the norm is applied to the moved sum.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from papers.kn.network import ACTIVATION, CleanRun, Cloze, Network, multiplied, watched
from shared.errors import DataError
from shared.model.hooks import capture, first_tensor


@dataclass(frozen=True)
class _State:
    """Embeddings, residual streams after each block, the sums before each block's last norm, and the mask's places."""

    embedded: Float[Tensor, "prompt pos d_model"]
    after: Sequence[Float[Tensor, "prompt pos d_model"]]
    sums: Sequence[Float[Tensor, "prompt d_model"]]
    positions: Int[Tensor, " prompt"]


class MaskedNetwork(Network):
    """A BERT-like model; the answer stands at the prompt's one mask token."""

    def _tokens(self, text: str) -> tuple[int, ...]:
        return tuple(self.lm.tokenizer(text)["input_ids"])

    def _answer(self, answer: str) -> list[int]:
        return self.lm.tokenizer(answer, add_special_tokens=False)["input_ids"]

    def encode(self, template: str, subject: str, answer: str) -> Cloze | None:
        """Return the template with the mask in the answer's place, or None if the answer is not one known token."""
        answers = self._answer(answer)
        if len(answers) != 1 or answers[0] == self.lm.tokenizer.unk_token_id:
            return None
        return self.cloze(template.replace("[X]", subject).replace("[Y]", self.lm.tokenizer.mask_token), answer)

    def cloze(self, prompt: str, answer: str) -> Cloze:
        """Return a prompt that holds the mask token once."""
        ids, answers = self._tokens(prompt), self._answer(answer)
        masks = [place for place, token in enumerate(ids) if token == self.lm.tokenizer.mask_token_id]
        if len(masks) != 1 or len(answers) != 1:
            raise DataError(
                f"the answer {answer!r} has {len(answers)} tokens and the prompt {prompt!r} {len(masks)} masks; "
                f"expected an answer of one token and {self.lm.tokenizer.mask_token} once"
            )
        return Cloze(ids, masks[0], answers[0])

    def gap(self, before: str, after: str) -> Cloze | None:
        """Return the text with the mask in the gap."""
        ids = self._tokens(f"{before}{self.lm.tokenizer.mask_token}{after}")
        if len(ids) > self.lm.arch.n_positions or ids.count(self.lm.tokenizer.mask_token_id) != 1:
            return None
        return Cloze(ids, ids.index(self.lm.tokenizer.mask_token_id), self.lm.tokenizer.pad_token_id)

    def _norm(self, layer: int) -> nn.Module:
        """Return the norm that ends a block."""
        return self.lm.arch.block(layer).output.LayerNorm

    @torch.no_grad()
    def clean(self, clozes: Sequence[Cloze]) -> CleanRun:
        """Run prompts of one length unchanged."""
        ids = torch.tensor([cloze.ids for cloze in clozes], device=self.lm.device)
        positions = torch.tensor([cloze.position for cloze in clozes], device=self.lm.device)
        rows, layers = torch.arange(len(clozes), device=self.lm.device), range(self.n_layers)
        embedded = self.lm.model.base_model.embeddings(input_ids=ids)
        hidden, after = embedded, []
        with watched(self) as seen, capture({str(n): self._norm(n) for n in layers}, inputs=True) as sums:
            for layer in layers:
                hidden = first_tensor(self.lm.arch.block(layer)(hidden))
                after.append(hidden)
        state = _State(embedded, after, [sums[str(layer)][rows, positions] for layer in layers], positions)
        before, after_it = (torch.stack([part[str(layer)][rows, positions] for layer in layers], 1) for part in seen)
        return CleanRun(clozes, before, after_it, self.lm.arch.head(hidden[rows, positions]), state)

    def _finish(self, hidden: Tensor, positions: Tensor, layers: range) -> Tensor:
        """Run blocks over whole prompts, (copy, prompt, pos, d_model), and return predictions at the mask."""
        copies, prompts = hidden.shape[:2]
        hidden = hidden.flatten(0, 1)
        for layer in layers:
            hidden = first_tensor(self.lm.arch.block(layer)(hidden))
        rows = torch.arange(len(hidden), device=hidden.device)
        return self.lm.arch.head(hidden[rows, positions.repeat(copies)]).unflatten(0, (copies, prompts))

    def resume(
        self, clean: CleanRun, layer: int, change: Float[Tensor, "copy prompt d_model"]
    ) -> Float[Tensor, "copy prompt vocab"]:
        """Return predictions when the feed-forward output of `layer` at the mask moves by `change`.

        Cost: all tokens in each layer above, per copy and prompt.
        """
        copies, prompts = change.shape[:2]
        moved = self._norm(layer)(clean.state.sums[layer] + change)
        if layer + 1 == self.n_layers:
            return self.lm.arch.head(moved)
        hidden = clean.state.after[layer][None].expand(copies, -1, -1, -1)
        rows = torch.arange(prompts, device=change.device)
        hidden = hidden.index_put(
            (torch.arange(copies, device=change.device)[:, None], rows, clean.state.positions), moved
        )
        return self._finish(hidden, clean.state.positions, range(layer + 1, self.n_layers))

    @torch.no_grad()
    def scaled(
        self, clean: CleanRun, factors: Float[Tensor, "copy prompt layer d_mlp"], site: str = ACTIVATION
    ) -> Float[Tensor, "copy prompt vocab"]:
        """Return predictions when all layers' neurons at the mask are multiplied by `factors`."""
        positions = clean.state.positions
        hidden = clean.state.embedded[None].expand(len(factors), -1, -1, -1)
        with multiplied(self, factors.flatten(0, 1)[:, None], site, positions.repeat(len(factors))):
            return self._finish(hidden, positions, range(self.n_layers))
