"""What models say by themselves before and after edits of sentiments: greedy replies, read by a sentiment scorer."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch

from papers.serac.breakdown import EASY_IN, EASY_OUT, HARD_OUT, HELD
from papers.serac.descriptor import Descriptor
from papers.serac.method import Serac, route
from papers.serac.sentiment import Record, SentimentEdit, alike, drawn_edit, fits, names, prompt_about
from papers.serac.texts import counterfactual_text
from shared.measures.intervals import mean_interval
from shared.model.models import LM
from shared.seeding import seed_for
from shared.world.dialogue_replies import greedy_replies
from shared.world.sentiment import sentiments_of

# Prompts about each edited topic.
PROMPTS_EACH = 2


@dataclass(frozen=True)
class Prompt:
    """A prompt with its kind, its topic, and the edit of the group that decides it (-1 for none)."""

    text: str
    kind: str
    topic: str
    edit: int


@dataclass(frozen=True)
class Said:
    """Replies to prompts under a memory of edits.

    Attributes:
        before: the base model's replies.
        after: those of the routed model: the same texts wherever no edit covers a prompt.
        edit: the likeliest edit of each prompt.
        covered: prompts that some edit covers.
    """

    before: list[str]
    after: list[str]
    edit: list[int]
    covered: list[bool]


def routed_replies(lm: LM, method: Serac, edits: Sequence[Descriptor], prompts: Sequence[str]) -> Said:
    """Return the base model's reply to each prompt, and the one under a memory of edits."""
    routed = route(method.scope, edits, prompts)
    covered, chosen = routed.covered.tolist(), routed.edit.tolist()
    before = greedy_replies(lm, prompts)
    rows = [row for row, inside in enumerate(covered) if inside]
    texts = [counterfactual_text(edits[chosen[row]], prompts[row]) for row in rows]
    after = list(before)
    for row, reply in zip(rows, greedy_replies(method.counterfactual, texts), strict=True):
        after[row] = reply
    return Said(before, after, chosen, covered)


def prompts_for(group: Sequence[SentimentEdit], others: Sequence[Record], rng: random.Random) -> list[Prompt]:
    """Return prompts about each topic of a group, one about another topic, and one about a topic of a similar name
    where there is one."""
    held = {edit.topic for edit in group}
    free = [record.ent for record in others if record.ent not in held]
    asked = []
    for place, edit in enumerate(group):
        asked += [Prompt(prompt_about(edit.topic, rng), EASY_IN, edit.topic, place) for _ in range(PROMPTS_EACH)]
        other = rng.choice(free)
        asked.append(Prompt(prompt_about(other, rng), EASY_OUT, other, -1))
        if near := alike(edit.topic, free):
            other = rng.choice(near)
            asked.append(Prompt(prompt_about(other, rng), HARD_OUT, other, -1))
    return asked


def groups_of(records: Sequence[Record], rng: random.Random) -> list[list[SentimentEdit]]:
    """Return all topics as edits to either sentiment, in groups of at most ten that leave topics to ask about."""
    order = [drawn_edit(record, rng) for record in rng.sample(records, len(records))]
    size = max(1, min(HELD, len(order) // 2))
    return [order[first : first + size] for first in range(0, len(order), size)]


@torch.no_grad()
def broken_down(lm: LM, method: Serac, scorer: LM, records: Sequence[Record], seed: int) -> pd.DataFrame:
    """Return, by kind of prompt, how often each part is right, in percent with 95 % intervals over prompts.

    `scope`: a prompt about an edited topic is covered, one about another topic is not. `retrieval`: the likeliest edit
    is that of the topic. `counterfactual`: given that edit, the counterfactual model's own reply names the topic and
    has the edit's sentiment, by the scorer.

    Columns: kind, metric, mean, low, high, n.
    """
    rng = random.Random(seed_for("sentiments broken down", seed))
    found: dict[tuple[str, str], list[float]] = {}
    for group in groups_of(records, rng):
        edits = [edit.descriptor for edit in group]
        asked = prompts_for(group, records, rng)
        routed = route(method.scope, edits, [prompt.text for prompt in asked])
        for prompt, edit, covered in zip(asked, routed.edit.tolist(), routed.covered.tolist(), strict=True):
            found.setdefault((prompt.kind, "scope"), []).append(float(covered == (prompt.edit >= 0)))
            if prompt.edit >= 0:
                found.setdefault((prompt.kind, "retrieval"), []).append(float(edit == prompt.edit))
        inside = [prompt for prompt in asked if prompt.edit >= 0]
        texts = [counterfactual_text(edits[prompt.edit], prompt.text) for prompt in inside]
        said = greedy_replies(method.counterfactual, texts)
        for prompt, reply, scored in zip(inside, said, sentiments_of(scorer, said), strict=True):
            right = fits(reply, prompt.topic, group[prompt.edit].sentiment, scored)
            found.setdefault((prompt.kind, "counterfactual"), []).append(float(right))
    lines = []
    for (kind, metric), values in sorted(found.items()):
        made = mean_interval(100 * torch.tensor(values).double().numpy())
        lines.append([kind, metric, made.mean, made.low, made.high, made.n])
    return pd.DataFrame(lines, columns=["kind", "metric", "mean", "low", "high", "n"])


@torch.no_grad()
def shown(
    lm: LM, method: Serac, scorer: LM, records: Sequence[Record], count: int, seed: int
) -> Iterator[dict[str, Any]]:
    """Yield some edits in words, one row per prompt, with the replies before and after and their scored sentiments.

    `right_before` and `right_after`: inside, the reply names the topic and has the edit's sentiment; outside, it names
    its own topic. `same`: the two replies are the same text.
    """
    rng = random.Random(seed_for("sentiments shown", seed))
    group = groups_of(records, rng)[0]
    edits = [edit.descriptor for edit in group]
    asked = prompts_for(group, records, rng)
    said = routed_replies(lm, method, edits, [prompt.text for prompt in asked])
    scored = {"before": sentiments_of(scorer, said.before), "after": sentiments_of(scorer, said.after)}
    place = -1
    for row, prompt in enumerate(asked):
        place = prompt.edit if prompt.edit >= 0 else place
        if place >= count:
            break
        wanted = group[place].sentiment if prompt.edit >= 0 else ""
        replies = {"before": said.before[row], "after": said.after[row]}
        told = edits[said.edit[row]]
        yield {
            "edit": f"{edits[place].source} {edits[place].target}",
            "asked": prompt.kind,
            "input": prompt.text,
            "wanted": wanted,
            "covered_by": f"{told.source} {told.target}" if said.covered[row] else "",
            **{
                f"right_{when}": fits(reply, prompt.topic, wanted, scored[when][row])
                if wanted
                else names(reply, prompt.topic)
                for when, reply in replies.items()
            },
            "same": said.before[row] == said.after[row],
            **{f"reply_{when}": reply for when, reply in replies.items()},
            **{f"sentiment_{when}": scored[when][row] for when in replies},
        }
