"""Facts to trace, and the clean and corrupted runs that tracing starts from (ROME §2.1).

Facts of equal length share their passes; every fact draws its noise from its own generator, so its numbers do not
depend on the group.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from shared.errors import ConfigError, DataError
from shared.model.forward import add_positions, embed, token_embeddings
from shared.model.models import LM
from shared.model.tokens import encode, find_subject, target_ids
from shared.traces.noise import Noise
from shared.traces.wavefront import SITES, Run, greedy_tokens, joint_probability, record

MAX_TOKENS = 4096
NOISE_SEED = 1


@dataclass(frozen=True)
class TracedFact:
    """A prompt to trace.

    Attributes:
        fact_id: identifies the fact in results.
        ids: tokens of the prompt.
        start, stop: token range [start, stop) of the subject.
        target: tokens whose joint probability is traced; None for the model's own next token.
    """

    fact_id: int | str
    ids: tuple[int, ...]
    start: int
    stop: int
    target: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.stop <= len(self.ids):
            raise DataError(
                f"fact {self.fact_id}: subject tokens [{self.start}, {self.stop}) do not lie in a prompt of "
                f"{len(self.ids)} tokens"
            )
        if self.target is not None and not self.target:
            raise DataError(f"fact {self.fact_id}: the target has no tokens")


def make_fact(lm: LM, prompt: str, subject: str, *, target: str | None = None, fact_id: int | str = 0) -> TracedFact:
    """Tokenise a prompt and find its subject (first occurrence).

    Args:
        prompt: text that ends where the answer would begin.
        subject: name as it stands in the prompt.
        target: text whose joint probability is traced (a leading space is added); the model's own answer if absent.

    Raises:
        DataError: the subject is not in the prompt, or the text is longer than the model's positions.
    """
    ids = encode(lm, prompt)
    wanted = None if target is None else tuple(target_ids(lm, target))
    if (length := len(ids) + len(wanted or ())) > lm.arch.n_positions:
        raise DataError(
            f"fact {fact_id}: {length} tokens, but the model has {lm.arch.n_positions} positions: {prompt!r}"
        )
    start, stop = find_subject(lm, ids, subject)
    return TracedFact(fact_id, tuple(ids), start, stop, wanted)


@dataclass(frozen=True)
class Corruption:
    """How the subject is hidden from the model.

    Attributes:
        noise: distribution of the embedding noise.
        samples: corrupted runs per fact.
        seed: of each fact's noise generator; one draw serves all cells of a fact.
        extra_tokens: how many prompt tokens after the subject are corrupted too (ROME Figs. 12 and 15).
    """

    noise: Noise
    samples: int = 10
    seed: int = NOISE_SEED
    extra_tokens: int = 0

    def __post_init__(self) -> None:
        if self.samples < 1 or self.extra_tokens < 0:
            raise ConfigError(
                f"corruption with {self.samples} samples and {self.extra_tokens} extra tokens; "
                "expected at least 1 sample and 0 extra tokens"
            )


@dataclass(frozen=True)
class FactGroup:
    """Facts of equal prompt and target length, by subject start, with their clean and corrupted runs.

    Rows of the clean run are facts; rows of the corrupted runs are (fact, sample).

    Attributes:
        targets: the answer's tokens.
        redrawn: residual stream entering block 0 under the second noise draw.
        high, low: probability of the answer, clean and (mean over samples) corrupted.
    """

    facts: list[TracedFact]
    samples: int
    targets: Int[Tensor, "fact read"]
    clean: Run
    corrupted: Run
    redrawn: Float[Tensor, "row pos d_model"]
    high: Float[Tensor, " fact"]
    low: Float[Tensor, " fact"]

    @property
    def read(self) -> int:
        """Number of answer tokens, and so of final states that are read."""
        return self.targets.shape[1]

    @property
    def length(self) -> int:
        """Number of prompt tokens."""
        return len(self.facts[0].ids)

    @property
    def width(self) -> int:
        """Number of tokens computed: the prompt and all answer tokens but the last."""
        return self.clean.entering.shape[1]

    def per_row(self, values: Tensor) -> Tensor:
        """Repeat one value per fact for each of its noise samples."""
        return values.repeat_interleave(self.samples, 0)

    def mean_probability(self, lm: LM, hidden: Float[Tensor, "change row read d"]) -> Float[Tensor, "change fact"]:
        """Return each fact's answer probability, averaged over samples."""
        targets = self.per_row(self.targets[: hidden.shape[1] // self.samples])
        probability = joint_probability(lm, hidden, targets)
        return probability.unflatten(1, (-1, self.samples)).double().mean(-1)


def _corrupt(
    embedded: Float[Tensor, "row pos d"], facts: Sequence[TracedFact], how: Corruption
) -> list[Float[Tensor, "row pos d"]]:
    """Return the embeddings under the first and the second noise draw of each fact's own generator."""
    draws: dict[int, list[Tensor]] = {}
    corrupted = [embedded.clone(), embedded.clone()]
    for index, fact in enumerate(facts):
        stop = min(fact.stop + how.extra_tokens, len(fact.ids))
        tokens = stop - fact.start
        if tokens not in draws:
            random = np.random.RandomState(how.seed)
            draws[tokens] = [
                how.noise.draw(random, how.samples, tokens, embedded.shape[-1]).to(embedded.device) for _ in "ab"
            ]
        rows = slice(index * how.samples, (index + 1) * how.samples)
        for target, drawn in zip(corrupted, draws[tokens], strict=True):
            original = 0 if how.noise.replace else target[rows, fact.start : stop].double()
            target[rows, fact.start : stop] = (original + drawn).to(embedded.dtype)
    return corrupted


@torch.no_grad()
def prepare_group(lm: LM, facts: list[TracedFact], how: Corruption, sites: Sequence[str]) -> FactGroup:
    """Make the clean and the corrupted run of facts that `group_facts` put together.

    Args:
        sites: module outputs to keep of the corrupted run (those of the clean run are all kept).
    """
    ids = torch.tensor([[*fact.ids, *(fact.target or ())[:-1]] for fact in facts], device=lm.device)
    read = len(facts[0].target or (0,))
    clean = record(lm, embed(lm, ids), SITES)
    final = clean.after[-1][:, -read:]
    if facts[0].target is None:
        targets = greedy_tokens(lm, final[:, -1])[:, None]
    else:
        targets = torch.tensor([fact.target for fact in facts], device=lm.device)
    embedded = token_embeddings(lm, ids).repeat_interleave(how.samples, 0)
    positions = torch.arange(ids.shape[1], device=lm.device)[None]
    first, second = (add_positions(lm, drawn, positions) for drawn in _corrupt(embedded, facts, how))
    corrupted = record(lm, first, sites)
    low = joint_probability(lm, corrupted.after[-1][:, -read:], targets.repeat_interleave(how.samples, 0))
    low = low.unflatten(0, (-1, how.samples)).double().mean(-1)
    high = joint_probability(lm, final, targets)
    return FactGroup(facts, how.samples, targets, clean, corrupted, second, high, low)


def group_facts(
    facts: Sequence[TracedFact], samples: int, max_tokens: int, key: Callable[[TracedFact], tuple]
) -> Iterator[list[int]]:
    """Yield indices of facts with equal keys, ordered by subject start, at most `max_tokens` corrupted tokens each."""
    by_key: dict[tuple, list[int]] = {}
    for index, fact in enumerate(facts):
        by_key.setdefault((fact.target is None, len(fact.target or (0,)), *key(fact)), []).append(index)
    for indices in by_key.values():
        indices.sort(key=lambda index: facts[index].start)
        size = max(1, max_tokens // (samples * len(facts[indices[0]].ids)))
        yield from (indices[first : first + size] for first in range(0, len(indices), size))
