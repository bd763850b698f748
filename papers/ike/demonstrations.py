"""Demonstrations and the context they make (Zheng et al. 2023, §3.2 and App. A; the authors' icl.py).

A demonstration is the text "New Fact: {fact}\\nPrompt: {prompt} {answer}\\n\\n" about one record of the pool. Its kind
says what it demonstrates: *copy* asks for the new fact in its own words, *update* in other words, *retain* asks for
another subject, whose object stays what it is.
"""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from shared.data.requests import Case, EditRequest
from shared.data.templates import fill
from shared.errors import ConfigError, DataError

Kind = Literal["copy", "update", "retain"]
KINDS: tuple[Kind, ...] = ("copy", "update", "retain")
PAPER_RATIO = (1, 3, 4)
# The 32 places of the authors' icl.py: copy at every fourth place of the first half, then update and retain in turn.
AUTHORS_ORDER: tuple[Kind, ...] = (
    *("retain", "update", "retain", "copy", "update", "retain", "retain", "copy"),
    *("retain", "retain", "update", "copy", "retain", "update", "retain", "copy"),
    *(("update", "retain") * 8),
)


@dataclass(frozen=True)
class Demonstration:
    """One demonstration: which record it is about, its kind, and its three parts."""

    case_id: int
    kind: Kind
    fact: str
    prompt: str
    answer: str

    @property
    def text(self) -> str:
        """The text that stands in the context."""
        return f"New Fact: {self.fact}\nPrompt: {self.prompt} {self.answer}\n\n"


def new_fact(request: EditRequest) -> str:
    """Return the edited fact as a sentence without a full stop: the prompt, filled, and the new object."""
    return f"{fill(request.prompt, request.subject)} {request.target_new}"


def question(request: EditRequest) -> str:
    """Return what stands before a prompt under an edit: the new fact, and the beginning of the question."""
    return f"New Fact: {new_fact(request)}\nPrompt: "


def kind_counts(k: int, ratio: Sequence[int]) -> dict[Kind, int]:
    """Return how many of `k` demonstrations are of each kind: `ratio`, rounded by largest remainders (4, 12, 16 of 32).

    Raises:
        ConfigError: the ratio is not three numbers, one above 0 at least.
    """
    if len(ratio) != len(KINDS) or min(ratio) < 0 or sum(ratio) == 0:
        raise ConfigError(f"ratio {list(ratio)}: expected three numbers for {', '.join(KINDS)}, not all of them 0")
    exact = [k * part / sum(ratio) for part in ratio]
    counts = [math.floor(value) for value in exact]
    rest = sorted(range(len(KINDS)), key=lambda at: (counts[at] - exact[at], at))[: k - sum(counts)]
    return {kind: counts[at] + (at in rest) for at, kind in enumerate(KINDS)}


def kinds_of(k: int, ratio: Sequence[int], order: str, rng: random.Random) -> list[Kind]:
    """Return the kinds of `k` demonstrations, of the nearest record first.

    Args:
        ratio: copy : update : retain.
        order: `spread` sets the kinds of every part of the context in the ratio (the paper's text), `shuffled` draws a
            permutation per case, and `authors` does what the authors' code does: it shuffles its list of 32 places and
            takes the first `k`, so that smaller contexts have the ratio on average only.
        rng: advanced by the shuffles.

    Raises:
        ConfigError: an unknown order, or `authors` with another ratio or more than 32 demonstrations.
    """
    if order == "authors":
        if tuple(ratio) != PAPER_RATIO or k > len(AUTHORS_ORDER):
            raise ConfigError(
                f"order 'authors' is for up to 32 demonstrations of ratio 1:3:4, got {k} of {list(ratio)}"
            )
        places = list(AUTHORS_ORDER)
        rng.shuffle(places)
        return places[:k]
    counts = kind_counts(k, ratio)
    if order == "shuffled":
        kinds = [kind for kind in KINDS for _ in range(counts[kind])]
        rng.shuffle(kinds)
        return kinds
    if order != "spread":
        raise ConfigError(f"order {order!r} of the kinds is unknown; choose spread, shuffled or authors")
    # Each kind's n-th demonstration belongs at (n + 1/2) / count of the context.
    places = [((n + 0.5) / counts[kind], -counts[kind], kind) for kind in KINDS for n in range(counts[kind])]
    return [kind for _, _, kind in sorted(places)]


def demonstrate(case: Case, kind: Kind, rng: random.Random) -> Demonstration:
    """Return the demonstration of `kind` about one record of the pool.

    Args:
        rng: draws one of the record's paraphrases for `update` and of its neighborhood prompts for `retain`.

    Raises:
        DataError: the record has no prompt of the wanted kind, or no true object.
    """
    request, fact = case.request, new_fact(case.request)
    if kind == "copy":
        return Demonstration(case.case_id, kind, fact, fill(request.prompt, request.subject), request.target_new)
    prompts = case.paraphrase_prompts if kind == "update" else case.neighborhood_prompts
    answer = request.target_new if kind == "update" else request.target_true
    if not prompts or answer is None:
        raise DataError(
            f"case_id {case.case_id}: no {'paraphrase' if kind == 'update' else 'neighborhood'} prompt with its "
            f"answer, which a demonstration of kind {kind!r} needs; take another pool, or a ratio without that kind"
        )
    return Demonstration(case.case_id, kind, fact, rng.choice(prompts), answer)


def own_copy(request: EditRequest) -> Demonstration:
    """Return the copy demonstration of the edit itself, which the authors' code puts last."""
    return Demonstration(
        request.case_id, "copy", new_fact(request), fill(request.prompt, request.subject), request.target_new
    )


def context_of(
    request: EditRequest,
    demonstrations: Sequence[Demonstration],
    *,
    append_target_copy: bool,
    earlier: Sequence[EditRequest] = (),
) -> str:
    """Return the whole text before a prompt: demonstrations, own copies, the new fact and "Prompt: ".

    Args:
        demonstrations: in the order in which they stand.
        append_target_copy: put the edit's own copy demonstration last (the authors' code; not in the paper's text).
        earlier: edits made before this one; each keeps its copy demonstration, in the order of the edits.
    """
    copies = [own_copy(one) for one in (*earlier, *([request] if append_target_copy else []))]
    return "".join(demonstration.text for demonstration in (*demonstrations, *copies)) + question(request)
