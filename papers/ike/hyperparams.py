"""The settings of an in-context edit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from papers.ike.demonstrations import PAPER_RATIO, kind_counts
from shared.errors import ConfigError

CHOICES = {
    "order": ("spread", "shuffled", "authors"),
    "selection": ("similar", "random"),
    "arrangement": ("similar_last", "random"),
    "overflow": ("error", "truncate"),
}


@dataclass(frozen=True)
class IkeHyperparams:
    """What the context of an edit is made of.

    Attributes:
        k: number of demonstrations; 0 is the PROMPT baseline.
        ratio: copy : update : retain.
        order: how the kinds are placed, see `demonstrations.kinds_of`.
        selection: the `similar` records of the pool, or `random` ones.
        arrangement: the most similar demonstration last, or a random order.
        append_target_copy: put a copy demonstration of the edit itself last (the authors' code).
        encoder: `tfidf`, or {model: hub id or folder} of a sentence encoder.
        encode_objects: encode a fact with its original and its new object (the paper), or its prompt alone.
        overflow: what happens to a context that does not fit the model: an `error`, or `truncate`, which leaves out the
            least similar demonstrations and counts them.
        probe_tokens: tokens kept free for a prompt and its object behind the context.
        seed: enters the draws of each case together with its fact.
    """

    k: int = 32
    ratio: Sequence[int] = PAPER_RATIO
    order: str = "shuffled"
    selection: str = "similar"
    arrangement: str = "similar_last"
    append_target_copy: bool = True
    encoder: str | Mapping[str, Any] = "tfidf"
    encode_objects: bool = True
    overflow: str = "error"
    probe_tokens: int = 48
    seed: int = 42

    def __post_init__(self) -> None:
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise ConfigError(f"ike: {name} is {getattr(self, name)!r}, expected one of {', '.join(choices)}")
        if self.k < 0 or self.probe_tokens < 1:
            raise ConfigError(
                f"ike: k is {self.k} and probe_tokens {self.probe_tokens}, expected k >= 0, probe_tokens >= 1"
            )
        kind_counts(self.k, self.ratio)
