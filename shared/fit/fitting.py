"""What the batched optimisations share: the texts they fit, the losses they minimise, and Adam with droppable rows.

A hidden vector (`shared/fit/optimise.py`) and a weight change (`shared/fit/finetune.py`) are both fitted to the
probabilities of given tokens at given positions of given texts; which number of these is minimised is an
exchangeable objective.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from shared.errors import ConfigError
from shared.model.forward import add_positions, logits, pad_right, token_embeddings
from shared.model.models import LM


@dataclass(frozen=True)
class Row:
    """One text and the tokens whose probabilities in it matter.

    Attributes:
        ids: token ids; what follows the last read position is ignored.
        positions: where predictions are read (position p predicts the token after p).
        tokens: the token looked up at each of these positions.
        noise: added to the token embeddings of the first `len(noise)` positions (Fact Forcing edits under a corrupted
            subject).
    """

    ids: Sequence[int]
    positions: Sequence[int] = ()
    tokens: Sequence[int] = ()
    noise: Float[Tensor, "pos d_model"] | None = None

    def __post_init__(self) -> None:
        if not self.ids or len(self.positions) != len(self.tokens):
            raise ValueError(f"a row needs ids and one token per position: {self.ids}, {self.positions}, {self.tokens}")
        if any(not 0 <= position < len(self.ids) for position in self.positions):
            raise ValueError(f"read positions {list(self.positions)} are outside a text of {len(self.ids)} tokens")


def teacher_forced(prompt: Sequence[int], target: Sequence[int], noise: Tensor | None = None) -> Row:
    """Return the row whose target tokens are each predicted from the prompt and the target tokens before it."""
    first = len(prompt) - 1
    return Row((*prompt, *target[:-1]), range(first, first + len(target)), tuple(target), noise)


# Maps the log-probabilities of every problem's rows to one loss per problem; the mask marks the real entries.
Objective = Callable[[Float[Tensor, "problem row token"], Bool[Tensor, "problem row token"]], Float[Tensor, " problem"]]


def mean_nll(
    log_probs: Float[Tensor, "problem row token"], mask: Bool[Tensor, "problem row token"]
) -> Float[Tensor, " problem"]:
    """Return the mean over rows of the mean negative log-probability per token (Eq. 4 of ROME, first term)."""
    per_row = -(log_probs * mask).sum(-1) / mask.sum(-1)
    return per_row.mean(-1)


def mean_probability(
    log_probs: Float[Tensor, "problem row token"], mask: Bool[Tensor, "problem row token"]
) -> Float[Tensor, " problem"]:
    """Return exp(−mean NLL): minimising it erases a fact (Hase et al. 2023, Fact Erasure)."""
    return (-mean_nll(log_probs, mask)).exp()


def summed_nll(
    log_probs: Float[Tensor, "problem row token"], mask: Bool[Tensor, "problem row token"]
) -> Float[Tensor, " problem"]:
    """Return the negative log-probability summed over all tokens of all rows (Hase et al. 2023, fine-tuning)."""
    return -(log_probs * mask).sum((-1, -2))


def joint_probability(
    log_probs: Float[Tensor, "problem row token"], mask: Bool[Tensor, "problem row token"]
) -> Float[Tensor, " problem"]:
    """Return the product of the probabilities of all tokens of all rows (Hase et al. 2023, erasure by fine-tuning)."""
    return (-summed_nll(log_probs, mask)).exp()


# What a search for a hidden vector does to its target (Hase et al. 2023, §5).
OBJECTIVES: dict[str, Objective] = {"maximise": mean_nll, "minimise": mean_probability}


class Adam:
    """Adam on one stacked parameter whose rows (axis 0) are independent problems that may leave.

    Adam is elementwise, so each row moves exactly as under an optimiser of its own (Kingma & Ba 2015, Algorithm 1, with
    torch's defaults and no weight decay).
    """

    def __init__(self, like: Tensor, lr: float, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8):
        self.lr, self.betas, self.eps = lr, betas, eps
        self.steps = 0
        self.mean = torch.zeros_like(like)
        self.square = torch.zeros_like(like)

    def step_(self, parameter: Tensor, gradient: Tensor) -> None:
        """Move `parameter` in place by one step against `gradient`."""
        self.steps += 1
        beta1, beta2 = self.betas
        self.mean.lerp_(gradient, 1 - beta1)
        self.square.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        scale = (1 - beta2**self.steps) ** 0.5
        denominator = (self.square.sqrt() / scale).add_(self.eps)
        parameter.addcdiv_(self.mean, denominator, value=-self.lr / (1 - beta1**self.steps))

    def keep(self, rows: Int[Tensor, " kept"]) -> None:
        """Forget all problems but `rows`."""
        self.mean, self.square = self.mean[rows], self.square[rows]


@dataclass
class Reads:
    """The wanted predictions of a batch: padded (row, slot) tables of columns and tokens.

    Attributes:
        columns: column of the hidden states at which each prediction is read.
        tokens: token looked up there.
        mask: which entries are real.
    """

    columns: Int[Tensor, "row slot"]
    tokens: Int[Tensor, "row slot"]
    mask: Bool[Tensor, "row slot"]

    @classmethod
    def of(cls, rows: Sequence[Row], offsets: Sequence[int], device: torch.device) -> "Reads":
        """Tabulate the reads of `rows`; column = position − offset."""
        width = max(1, *(len(row.tokens) for row in rows))
        shape = (len(rows), width)
        columns, tokens = torch.zeros(shape, dtype=torch.long), torch.zeros(shape, dtype=torch.long)
        mask = torch.zeros(shape, dtype=torch.bool)
        for line, (row, offset) in enumerate(zip(rows, offsets, strict=True)):
            count = len(row.tokens)
            columns[line, :count] = torch.tensor(row.positions, dtype=torch.long) - offset
            tokens[line, :count] = torch.tensor(row.tokens, dtype=torch.long)
            mask[line, :count] = True
        return cls(columns.to(device), tokens.to(device), mask.to(device))

    def select(self, rows: Int[Tensor, " kept"]) -> "Reads":
        """Return the tables of `rows` only."""
        return Reads(self.columns[rows], self.tokens[rows], self.mask[rows])

    def positions_read(self, width: int) -> Bool[Tensor, "row {width}"]:
        """Return which columns of hidden states `width` wide are read."""
        wanted = torch.zeros(len(self.mask), width, dtype=torch.bool, device=self.mask.device)
        rows, slots = self.mask.nonzero(as_tuple=True)
        wanted[rows, self.columns[rows, slots]] = True
        return wanted

    def log_probs(self, lm: LM, hidden: Float[Tensor, "row pos d_model"]) -> Float[Tensor, "row slot"]:
        """Project `hidden` to the vocabulary at the read positions only and look the tokens up (zero where masked)."""
        rows, slots = self.mask.nonzero(as_tuple=True)
        scores = logits(lm, hidden[rows, self.columns[rows, slots]]).float().log_softmax(-1)
        picked = scores.gather(1, self.tokens[rows, slots][:, None])[:, 0]
        return scores.new_zeros(self.mask.shape).index_put((rows, slots), picked)


def embed_rows(lm: LM, rows: Sequence[Row], lengths: Sequence[int]) -> Float[Tensor, "row pos d_model"]:
    """Return the residual stream entering block 0 for rows cut to `lengths` and padded on the right, noise included."""
    cut = [list(row.ids[:length]) for row, length in zip(rows, lengths, strict=True)]
    ids = pad_right(cut, lm.tokenizer.pad_token_id, lm.device)
    embedded = token_embeddings(lm, ids)
    if any(row.noise is not None for row in rows):
        embedded = embedded.clone()
        for line, (row, length) in enumerate(zip(rows, lengths, strict=True)):
            if row.noise is not None:
                noisy = embedded[line, : min(length, len(row.noise))]
                noisy += row.noise[: len(noisy)].to(embedded.device)  # in the wider type, as the authors' code adds it
    return add_positions(lm, embedded, torch.arange(ids.shape[1], device=lm.device)[None])


def rows_per_problem(problems: Sequence[Sequence[Row]]) -> int:
    """Return the number of rows that every problem of a batch has.

    Raises:
        ConfigError: if problems have different numbers of rows, or none.
    """
    counts = {len(rows) for rows in problems}
    if len(counts) != 1 or 0 in counts:
        raise ConfigError(f"the problems of one batch need the same number of texts (at least 1), got {sorted(counts)}")
    return counts.pop()
