"""The two readings of the protocol: what the paper says (`as_paper`), and what the released code does (`as_released`).

The published numbers come from neither alone (deviation D1 in README.md), so each difference is a field of its own.
"""

from dataclasses import dataclass
from typing import Literal

from shared.errors import ConfigError


@dataclass(frozen=True)
class Mode:
    """How the protocol is read; in parentheses the quirk of the release, as numbered in README.md.

    Attributes:
        name: `as_paper` or `as_released`.
        skips_unlikely: leave facts with p(o_true) below the threshold out of every problem (Q1); else of Fact Erasure.
        ceiling: denominator of the restored fraction: the clean probability, or the larger of that and of the best
            restored one (Q2), which keeps every fraction within 1.
        probes: score all paraphrases and neighbours of a case, or the first of each only (Q3).
        essence: whether texts about the subject are scored (Q4).
        reversal: target of Tracing Reversal: what the model says under noise, or, sampled, the whole text with its
            prompt, up to 12 tokens (Q6).
        noise: where Fact Forcing corrupts: the subject in every text; or, while editing, fresh noise in every pass at
            the plain prompt's positions, and, while scoring, at the positions of another prompt's subject (Q7).
        floor: least value of a rewrite or paraphrase score that is not Fact Erasure's.
        skipped: cases that are never edited or traced, because they ran out of memory on the authors' machine.
    """

    name: str
    skips_unlikely: bool
    ceiling: Literal["clean", "best"]
    probes: Literal["all", "first"]
    essence: bool
    reversal: Literal["continuation", "whole_text"]
    noise: Literal["subject", "misplaced"]
    floor: float | None
    skipped: tuple[int, ...]


MODES = {
    mode.name: mode
    for mode in (
        Mode("as_paper", False, "clean", "all", True, "continuation", "subject", None, ()),
        Mode("as_released", True, "best", "first", False, "whole_text", "misplaced", 2e-8, (1531,)),
    )
}


def mode_named(name: str) -> Mode:
    """Return the reading called `name`.

    Raises:
        ConfigError: there is none of that name.
    """
    if name not in MODES:
        raise ConfigError(f"mode {name!r} is unknown; choose one of {', '.join(MODES)}")
    return MODES[name]
