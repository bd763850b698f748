"""Knowledge neurons of causal models: only the prompt's last token is recomputed, against stored keys and values.

A change of the last token's activations cannot reach earlier tokens, so every scaled copy of a prompt costs one token
per layer. The copies stand side by side as further queries of one row, each of which sees the prompt's earlier tokens
and itself; nothing is repeated in memory, and the numbers are those of whole passes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from papers.kn.network import ACTIVATION, CleanRun, Cloze, Network, multiplied, watched
from shared.errors import DataError
from shared.model.forward import KeyValues, embed, logits, run_blocks
from shared.model.tokens import encode, target_ids


@dataclass(frozen=True)
class _State:
    """Keys and values before the last token, the last token's embedding, and its residual stream after each block."""

    prefix: KeyValues
    embedded: Float[Tensor, "prompt d_model"]
    after: Float[Tensor, "prompt layer d_model"]


class CausalNetwork(Network):
    """A decoder; the answer follows the prompt's last token."""

    tokens_per_copy = 1

    def encode(self, template: str, subject: str, answer: str) -> Cloze | None:
        """Return the template up to the answer, or None where more than punctuation follows the answer."""
        before, after = template.split("[Y]")
        if any(character.isalnum() for character in after) or "[X]" in after:
            return None
        answers = target_ids(self.lm, answer)
        ids = encode(self.lm, before.replace("[X]", subject).rstrip())
        return Cloze(tuple(ids), len(ids) - 1, answers[0]) if len(answers) == 1 else None

    def cloze(self, prompt: str, answer: str) -> Cloze:
        """Return a prompt that ends where the answer begins."""
        ids, answers = encode(self.lm, prompt.rstrip()), target_ids(self.lm, answer)
        if not ids or len(answers) != 1:
            raise DataError(
                f"the answer {answer!r} has {len(answers)} tokens and the prompt {prompt!r} {len(ids)}; "
                "expected an answer of one token after a prompt"
            )
        return Cloze(tuple(ids), len(ids) - 1, answers[0])

    def gap(self, before: str, after: str) -> Cloze | None:
        """Return the text before the gap; the last token is where the filling is predicted."""
        ids = encode(self.lm, before.rstrip())
        fits = 0 < len(ids) <= (self.lm.arch.n_positions or len(ids))
        return Cloze(tuple(ids), len(ids) - 1, self.lm.tokenizer.pad_token_id) if fits else None

    @torch.no_grad()
    def clean(self, clozes: Sequence[Cloze]) -> CleanRun:
        """Run prompts of one length unchanged."""
        ids = torch.tensor([cloze.ids for cloze in clozes], device=self.lm.device)
        cache, after = KeyValues(record=True), []
        layers = range(self.n_layers)
        embedded = embed(self.lm, ids)
        with watched(self) as seen:
            hidden = run_blocks(
                self.lm, embedded, layers, cache=cache, observe=lambda _layer, out: after.append(out[:, -1])
            )
        every = torch.arange(len(clozes), device=self.lm.device)
        state = _State(cache.select(every, ids.shape[1] - 1), embedded[:, -1], torch.stack(after, 1))
        before, after_it = (torch.stack([part[str(layer)][:, -1] for layer in layers], 1) for part in seen)
        return CleanRun(clozes, before, after_it, logits(self.lm, hidden[:, -1]), state)

    def _last_token(self, clean: CleanRun, hidden: Tensor, layers: range) -> Tensor:
        """Run blocks over copies of the last token; `hidden` is (prompt, copy, d_model)."""
        if not layers:
            return logits(self.lm, hidden)
        length, copies = len(clean.clozes[0].ids), hidden.shape[1]
        own = torch.full((copies, copies), torch.finfo(hidden.dtype).min).fill_diagonal_(0)
        mask = torch.cat([torch.zeros(copies, length - 1), own], 1).to(hidden)[None, None]
        positions = torch.full((1, copies), length - 1, device=hidden.device)
        hidden = run_blocks(self.lm, hidden, layers, positions=positions, mask=mask, cache=clean.state.prefix)
        return logits(self.lm, hidden)

    def resume(
        self, clean: CleanRun, layer: int, change: Float[Tensor, "copy prompt d_model"]
    ) -> Float[Tensor, "copy prompt vocab"]:
        """Return predictions when the feed-forward output of `layer` at the last token moves by `change`.

        In all known layouts a block ends by adding the feed-forward output to the residual stream, so the block itself
        need not be run again.

        Cost: one token in each layer above, per copy and prompt.
        """
        hidden = (clean.state.after[:, layer] + change).transpose(0, 1)
        return self._last_token(clean, hidden, range(layer + 1, self.n_layers)).transpose(0, 1)

    @torch.no_grad()
    def scaled(
        self, clean: CleanRun, factors: Float[Tensor, "copy prompt layer d_mlp"], site: str = ACTIVATION
    ) -> Float[Tensor, "copy prompt vocab"]:
        """Return predictions when all layers' neurons at the last token are multiplied by `factors`."""
        hidden = clean.state.embedded[:, None].expand(-1, len(factors), -1)
        with multiplied(self, factors.transpose(0, 1), site):
            return self._last_token(clean, hidden, range(self.n_layers)).transpose(0, 1)
