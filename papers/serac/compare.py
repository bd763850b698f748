"""Hold numbers of edits at once with several methods, and ask about them and about other things.

    python -m papers.serac.compare --model results/models/world-qa --kind seq2seq --format scoped_questions \\
        --files results/data/zsre_train.jsonl results/data/zsre_validation.jsonl --modules '[...]' \\
        --methods papers.mend.method --editors DIR --parts DIR --edits 200 --anchors 2 \\
        --variants '{"serac": {"editor": "serac", "at": [1, 10, 1000]}}' --out summary.csv

All methods meet the same edits and questions. Where more edits are held than there are to test, the others are edits of
training records: they stand in the memory and nothing is asked about them.
"""

import argparse
import logging
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import torch

import papers.serac.method  # noqa: F401 (registers the memory's methods)
from papers.serac.breakdown import broken_down, shown
from papers.serac.method import Serac
from shared import runtime
from shared.editing.edit_cases import import_methods
from shared.errors import ConfigError, reported
from shared.learning.drawdown import ANCHOR, EDITED, EQUIVALENT
from shared.learning.edit_examples import ExampleSet
from shared.learning.edit_pools import Episode, Pool
from shared.learning.edit_success import Method, ask_episode
from shared.learning.edit_tasks import Task
from shared.learning.learn_editors import add_task, methods_of, write_summary
from shared.measures.intervals import mean_interval
from shared.model.lean import fused_gelu
from shared.model.models import LM, load_model
from shared.records import write_jsonl
from shared.seeding import seed_for

log = logging.getLogger(__name__)
FILLING = 1_000_000
ROWS = 64
MEMORIES = ("serac", "rp")
# Metric → kind of rows, their column, and whether the share of rows without it is meant.
METRICS = {
    "edit_success": (EQUIVALENT, "correct", False),
    "edit_success_edited": (EDITED, "correct", False),
    "drawdown": (ANCHOR, "same", True),
}


def filled_pool(lm: LM, parts: Mapping[str, ExampleSet], max_tokens: int, filling: bool) -> Pool:
    """Return the tests' pool, with training examples behind its own where they may be needed to fill a memory."""
    others = (*parts["train"].examples, *parts["validation"].examples)
    more = [replace(example, example_id=FILLING + example.example_id) for example in others]
    test = parts["test"]
    return Pool(lm, ExampleSet((*test.examples, *(more if filling else ())), test.anchors), max_tokens=max_tokens)


def held_together(rng: random.Random, tests: int, others: int, held: int, edits: int) -> list[list[int]]:
    """Return groups of `held` examples of a pool that begins with `tests` examples to ask about.

    At most two thirds of the tests stand in one group, so that there is something to ask that is not edited.

    Raises:
        ConfigError: there are too few examples.
    """
    asked = min(held, max(1, 2 * tests // 3))
    if held - asked > others:
        raise ConfigError(f"{held} edits cannot be held at once: there are {asked} to test and {others} others")
    groups: list[list[int]] = []
    order: list[int] = []
    while len(groups) < max(1, edits // asked):
        if len(order) < asked:
            order = rng.sample(range(tests), tests)
        groups.append(order[:asked] + rng.sample(range(tests, tests + others), held - asked))
        order = order[asked:]
    return groups


def episodes(pool: Pool, tests: int, held: int, edits: int, anchors: int, seed: int) -> Iterator[Episode]:
    """Yield the episodes of one number of edits held at once, the same for every method.

    Args:
        anchors: statements asked per edit that is tested.
    """
    rng = random.Random(seed_for("held together", seed, held))
    groups = held_together(rng, tests, len(pool.examples) - tests, held, edits)
    together = max(1, ROWS // held)
    for first in range(0, len(groups), together):
        yield pool.episode(rng, groups[first : first + together], anchors * min(held, max(1, 2 * tests // 3)))


@torch.no_grad()
def rows_of(
    lm: LM, name: str, method: Method, pool: Pool, tests: int, held: int, options: argparse.Namespace
) -> Iterator[dict[str, Any]]:
    """Yield the rows of one method with one number of edits; those of edits that only fill a memory are left out."""
    done = 0
    for episode in episodes(pool, tests, held, options.edits, options.anchors, options.seed):
        with fused_gelu(lm):
            for row in ask_episode(lm, name, method, episode, held, done):
                if row["example_id"] < FILLING:
                    yield row
        done += episode.edits.n_groups


def summarised(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return edit success and drawdown in percent, with 95 % intervals over questions.

    Drawdown is the share of statements whose predicted answer is no longer the unedited model's (§5 of the paper).

    Columns: editor, edits (held at once), metric, mean, low, high, n.
    """
    frame, lines = pd.DataFrame(list(rows)), []
    for (editor, held), group in frame.groupby(["editor", "edits"], sort=False):
        for metric, (kind, column, opposite) in METRICS.items():
            values = group.loc[group["kind"] == kind, column].to_numpy(float)
            found = mean_interval(100 * (1 - values if opposite else values))
            lines.append([editor, held, metric, found.mean, found.low, found.high, found.n])
    return pd.DataFrame(lines, columns=["editor", "edits", "metric", "mean", "low", "high", "n"])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m papers.serac.compare", description=__doc__.split("\n")[0])
    add_task(parser, ("seq2seq", "classifier"))
    parser.add_argument("--editors", type=Path, required=True, help="folder of trained editors to compare with")
    parser.add_argument("--parts", type=Path, required=True, help="folder that papers.serac.train wrote")
    parser.add_argument("--edits", type=int, default=200, help="edits tested at each number held")
    parser.add_argument("--anchors", type=int, default=2, help="statements asked per tested edit")
    parser.add_argument("--shown", type=int, default=3, help="edits that are shown in words")
    parser.add_argument("--out", type=Path, required=True, help="summary to write; parts.csv and shown.jsonl beside it")
    return parser


@reported(log)
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    options = _parser().parse_args(arguments)
    device = runtime.start(options.threads, options.device)
    import_methods(options.methods, [])
    lm = load_model(options.model, kind=options.kind, device=device)
    parts = Task(options.format, options.files, options.validation, options.held_out).parts(options.seed)
    tests = len(parts["test"].examples)
    at = {name: variant["at"] for name, variant in options.variants.items()}
    most = max(held for numbers in at.values() for held in numbers)
    pool = filled_pool(lm, parts, options.max_tokens, filling=most > 2 * tests // 3)
    built = {}
    for name, variant in options.variants.items():
        own = {key: value for key, value in variant.items() if key != "at"}
        built[name] = own | ({"folder": str(options.parts)} if own["editor"] in MEMORIES else {})
    rows: list[dict[str, Any]] = []
    broken, words = pd.DataFrame(), []
    for name, method, _ in methods_of(lm, {"train": pool}, options.modules, built, options.editors):
        for held in at[name]:
            rows += rows_of(lm, name, method, pool, tests, held, options)
            log.info("%s: %d edits held", name, held)
        if isinstance(method, Serac) and built[name]["editor"] == "serac":
            found = broken_down(lm, method, parts["test"], options.seed)
            broken = pd.concat([broken, found.assign(editor=name)])
            words += [row | {"editor": name} for row in shown(lm, method, parts["test"], options.shown, options.seed)]
    write_summary(summarised(rows), options.out)
    write_summary(broken, options.out.with_name("parts.csv"))
    write_jsonl(options.out.with_name("shown.jsonl"), words)


if __name__ == "__main__":
    main()
