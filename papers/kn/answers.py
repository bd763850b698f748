"""What a network answers, prompt by prompt: the numbers that perplexities, accuracies and successes are made of."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from papers.kn.network import Cloze, Network


@dataclass(frozen=True)
class Answers:
    """Predictions at the answer's place of several prompts.

    Attributes:
        log_probs: natural-log probability of each prompt's answer.
        predicted: the most probable token.
        ranks: how many tokens are more probable than the answer.
    """

    log_probs: Float[Tensor, " prompt"]
    predicted: Int[Tensor, " prompt"]
    ranks: Int[Tensor, " prompt"]

    @property
    def correct(self) -> Bool[Tensor, " prompt"]:
        """Whether the answer is the most probable token."""
        return self.ranks == 0

    def of(self, rows: Sequence[int]) -> "Answers":
        """Return those of some prompts."""
        return Answers(self.log_probs[list(rows)], self.predicted[list(rows)], self.ranks[list(rows)])


def read_answers(network: Network, clozes: Sequence[Cloze], max_tokens: int) -> Answers:
    """Ask all prompts."""
    log_probs = torch.empty(len(clozes), dtype=torch.float64)
    predicted, ranks = torch.empty(len(clozes), dtype=torch.long), torch.empty(len(clozes), dtype=torch.long)
    for group in network.groups(clozes, 1, max_tokens):
        clean = network.clean([clozes[index] for index in group])
        own = clean.logits.gather(1, clean.answers[:, None])
        log_probs[group] = clean.logits.double().log_softmax(-1).gather(1, clean.answers[:, None])[:, 0].cpu()
        predicted[group] = clean.logits.argmax(-1).cpu()
        ranks[group] = (clean.logits > own).sum(-1).cpu()
    return Answers(log_probs, predicted, ranks)
