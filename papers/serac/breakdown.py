"""Where SERAC's mistakes come from: each part by itself, on easy and hard inputs, with ten edits held at once.

Easy in-scope inputs are the edit's own and its paraphrases, hard ones are those that it entails; easy inputs out of
scope are random statements, hard ones those that are easily taken for ones in scope.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch

from papers.serac.counterfactual import counterfactual_predictions
from papers.serac.descriptor import Descriptor
from papers.serac.lessons import unrelated
from papers.serac.method import Routed, Serac, answers_with, route
from shared.inference.text_batches import answered, collate, encode_row, family_of, predictions
from shared.learning.edit_examples import EditExample, ExampleSet, Statement
from shared.measures.intervals import mean_interval
from shared.model.models import LM
from shared.seeding import seed_for

HELD = 10
EASY_IN, HARD_IN, EASY_OUT, HARD_OUT = "in_easy", "in_hard", "out_easy", "out_hard"


@dataclass(frozen=True)
class Asked:
    """An input with its kind, and the edit of the group that decides it (-1 for none)."""

    item: Statement
    kind: str
    edit: int


def groups_of(examples: ExampleSet, rng: random.Random) -> list[list[EditExample]]:
    """Return the examples in groups of ten."""
    order = rng.sample(examples.examples, len(examples.examples))
    return [list(order[first : first + HELD]) for first in range(0, len(order), HELD)]


def questions_about(group: Sequence[EditExample], anchors: Sequence[Statement], rng: random.Random) -> list[Asked]:
    """Return everything that a group decides, and for each edit an easy and a hard statement that it leaves alone."""
    held = {example.about for example in group}
    asked = []
    for place, example in enumerate(group):
        easy = [Statement(text, example.target) for text in example.equivalents]
        asked += [Asked(item, EASY_IN, place) for item in easy]
        asked += [Asked(item, HARD_IN, place) for item in example.entailed]
        asked.append(Asked(unrelated(rng, anchors, held), EASY_OUT, -1))
        near = [item for item in example.near if item.about not in held]
        asked += [Asked(rng.choice(near), HARD_OUT, -1)] if near else []
    return asked


@torch.no_grad()
def broken_down(lm: LM, method: Serac, examples: ExampleSet, seed: int) -> pd.DataFrame:
    """Return, by kind of input, how often each part is right, in percent with 95 % intervals over inputs.

    `scope`: an input in scope is covered by some edit, one out of scope by none. `retrieval`: the likeliest edit is the
    one that decides the input. `counterfactual`: the counterfactual model is right when it gets that edit.

    Columns: kind, metric, mean, low, high, n.
    """
    rng = random.Random(seed_for("breakdown", seed))
    found: dict[tuple[str, str], list[float]] = {}
    for group in groups_of(examples, rng):
        edits = [_descriptor(lm, example) for example in group]
        asked = questions_about(group, examples.anchors, rng)
        routed = route(method.scope, edits, [entry.item.source for entry in asked])
        for entry, edit, covered in zip(asked, routed.edit.tolist(), routed.covered.tolist(), strict=True):
            found.setdefault((entry.kind, "scope"), []).append(float(covered == (entry.edit >= 0)))
            if entry.edit >= 0:
                found.setdefault((entry.kind, "retrieval"), []).append(float(edit == entry.edit))
        for entry, right in _counterfactual(lm, method, edits, [entry for entry in asked if entry.edit >= 0]):
            found.setdefault((entry.kind, "counterfactual"), []).append(right)
    lines = []
    for (kind, metric), values in sorted(found.items()):
        made = mean_interval(100 * torch.tensor(values).double().numpy())
        lines.append([kind, metric, made.mean, made.low, made.high, made.n])
    return pd.DataFrame(lines, columns=["kind", "metric", "mean", "low", "high", "n"])


def _counterfactual(
    lm: LM, method: Serac, edits: Sequence[Descriptor], asked: Sequence[Asked]
) -> Iterator[tuple[Asked, float]]:
    batch = collate(lm, [encode_row(lm, entry.item.source, entry.item.target) for entry in asked])
    own = [edits[entry.edit] for entry in asked]
    right = answered(counterfactual_predictions(method.counterfactual, lm, own, batch), batch)
    yield from zip(asked, right.double().tolist(), strict=True)


def _descriptor(lm: LM, example: EditExample) -> Descriptor:
    return Descriptor(example.source, "" if family_of(lm.model) == "classifier" else example.target)


@torch.no_grad()
def shown(lm: LM, method: Serac, examples: ExampleSet, count: int, seed: int) -> Iterator[dict[str, Any]]:
    """Yield some edits in words, one row per input: its kind, the edit that it went to, and which answers are right.

    `right_before` and `right_after` say whether the whole wanted answer is predicted without and with the edits, `same`
    whether the predictions are the unedited model's, bit for bit.
    """
    rng = random.Random(seed_for("shown", seed))
    group = groups_of(examples, rng)[0]
    edits = [_descriptor(lm, example) for example in group]
    asked = questions_about(group, examples.anchors, rng)
    batch = collate(lm, [encode_row(lm, entry.item.source, entry.item.target) for entry in asked])
    before = predictions(lm, batch)
    after = answers_with(lm, method.scope, method.counterfactual, edits, batch, before)
    routed: Routed = route(method.scope, edits, [entry.item.source for entry in asked])
    place = -1
    for row, entry in enumerate(asked):
        place = entry.edit if entry.edit >= 0 else place
        if place >= count:
            break
        edit = edits[int(routed.edit[row])] if routed.covered[row] else None
        yield {
            "edit": f"{edits[place].source} {edits[place].target}".strip(),
            "asked": entry.kind,
            "input": entry.item.source,
            "wanted": entry.item.target,
            "covered_by": f"{edit.source} {edit.target}".strip() if edit else "",
            "right_before": bool(answered(before, batch)[row]),
            "right_after": bool(answered(after, batch)[row]),
            "same": bool(torch.equal(before[row], after[row])),
        }
