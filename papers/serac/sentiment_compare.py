"""Edit the sentiments of several topics at once with several methods, and ask about these topics and about others.

    python -m papers.serac.sentiment_compare --model results/models/world-dialogue \\
        --scorer results/models/world-sentiment --files results/data/convsent_train.json \\
        results/data/convsent_validation.json results/data/convsent_test.json \\
        --modules '[...]' --methods papers.mend.method --parts DIR --edits 100 --anchors 2 --shown 3 \\
        --variants '{"serac": {"editor": "serac", "at": [1, 10]}}' --out summary.csv

Success is measured on stored replies of both sentiments, as the paper does; what the models say by themselves stands in
`parts.csv` and `shown.jsonl`, read by a scorer of sentiments.
"""

import argparse
import logging
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from jaxtyping import Bool
from torch import Tensor

import papers.serac.method  # noqa: F401 (registers the memory's methods)
from papers.serac.compare import MEMORIES, held_together
from papers.serac.method import Serac
from papers.serac.sentiment import (
    Record,
    SentimentEdit,
    alike,
    drawn_edit,
    edit_success,
    prompt_about,
    sentiment_examples,
    sentiment_shift,
    topic_kept,
)
from papers.serac.sentiment_replies import broken_down, shown
from papers.serac.sentiment_train import parser_of, topics_of
from papers.serac.sentiment_training import mean_log_prob
from shared import runtime
from shared.editing.edit_cases import import_methods
from shared.errors import reported
from shared.inference.text_batches import SEQ2SEQ, TextRow, divergence, encode_row, predictions
from shared.learning.edit_pools import Pool, Rows
from shared.learning.edit_success import Method
from shared.learning.learn_editors import methods_of, write_summary
from shared.learning.learned_editors import Edits
from shared.measures.intervals import mean_interval
from shared.model.lean import fused_gelu
from shared.model.models import LM, load_model
from shared.records import write_jsonl
from shared.seeding import seed_for

log = logging.getLogger(__name__)
PERCENT = 100.0
# Edits whose questions are asked in one pass.
TOGETHER = 20
# Metric → factor on its values.
METRICS = {"edit_success": PERCENT, "sentiment": PERCENT, "topic": PERCENT, "drawdown": 1.0}


@dataclass(frozen=True)
class Talk:
    """Groups of edits that are held together, and what is said about them and about other topics.

    Attributes:
        edits: the edits of all groups.
        inside, outside: replies to prompts about topics that are edited, and that are not.
        same: which rows of `inside` have the sentiment of their edit.
    """

    edits: Edits
    inside: Rows
    same: Bool[Tensor, " row"]
    outside: Rows


def talk_about(
    lm: LM, groups: Sequence[Sequence[SentimentEdit]], asked: int, others: Sequence[Record], anchors: int, seed: int
) -> Talk:
    """Return groups with every stored reply about their first `asked` topics, and replies about topics of no edit.

    Args:
        others: topics to talk about besides; every other prompt is about one of a similar name, where there is one.
        anchors: prompts about others per edit that is asked about.
    """
    rng = random.Random(seed_for("talk", seed))
    pairs = [[_pair(lm, edit) for edit in group] for group in groups]
    inside: list[list[TextRow]] = []
    outside: list[list[TextRow]] = []
    same: list[bool] = []
    for group in groups:
        held = {edit.topic for edit in group}
        free = {record.ent: record for record in others if record.ent not in held}
        inside.append([])
        outside.append([])
        for edit in group[:asked]:
            for wanted, replies in ((True, edit.same), (False, edit.opposite)):
                inside[-1] += [encode_row(lm, prompt_about(edit.topic, rng), reply) for reply in replies]
                same += [wanted] * len(replies)
            near = alike(edit.topic, list(free))
            for number in range(anchors):
                other = free[rng.choice(near if near and number % 2 else list(free))]
                reply = rng.choice((*other.pos, *other.neg))
                outside[-1].append(encode_row(lm, prompt_about(other.ent, rng), reply))
    marks = torch.tensor(same, device=lm.device)
    return Talk(Edits.of(lm, pairs), Rows.of(lm, inside), marks, Rows.of(lm, outside))


def _pair(lm: LM, edit: SentimentEdit) -> tuple[TextRow, list[int]]:
    row = encode_row(lm, edit.descriptor.source, edit.descriptor.target)
    return row, [*row.source, *row.target]


def measured(lm: LM, method: Method, talk: Talk) -> list[dict[str, float]]:
    """Return, for each group, edit success with its two factors, and drawdown in nats per token.

    Means over tokens are pooled over all replies of a group. Drawdown is KL(base ‖ edited) on replies about other
    topics.
    """
    prepared = method.prepare(lm, talk.edits)
    before, after = predictions(lm, talk.inside.batch), method.answers(lm, prepared, talk.inside)
    plain, changed = predictions(lm, talk.outside.batch), method.answers(lm, prepared, talk.outside)
    moved = divergence(plain, changed, talk.outside.batch)
    found = []
    for group in range(talk.edits.n_groups):
        own = talk.inside.group == group
        same = mean_log_prob(after, talk.inside.batch, own & talk.same).item()
        opposite = mean_log_prob(after, talk.inside.batch, own & ~talk.same).item()
        same_before = mean_log_prob(before, talk.inside.batch, own & talk.same).item()
        beside = (talk.outside.group == group)[:, None] & talk.outside.batch.mask
        found.append(
            {
                "edit_success": edit_success(same, opposite, same_before),
                "sentiment": sentiment_shift(same, opposite),
                "topic": topic_kept(same, same_before),
                "drawdown": moved[beside].mean().item(),
            }
        )
    return found


def talks(
    lm: LM, tests: Sequence[Record], fillers: Sequence[Record], held: int, options: argparse.Namespace
) -> Iterator[Talk]:
    """Yield the groups of one number of edits held at once, the same for every method; fillers are only held."""
    rng = random.Random(seed_for("sentiments held together", options.seed, held))
    records = [*tests, *fillers]
    groups = [
        [drawn_edit(records[index], rng) for index in group]
        for group in held_together(rng, len(tests), len(fillers), held, options.edits)
    ]
    asked = sum(edit.topic in {record.ent for record in tests} for edit in groups[0])
    step = max(1, TOGETHER // asked)
    for first in range(0, len(groups), step):
        seed = seed_for("talk", options.seed, held, first)
        yield talk_about(lm, groups[first : first + step], asked, tests, options.anchors, seed)


def summarised(rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Return means with 95 % intervals over groups of edits that were held together; shares in percent, KL in nats.

    Columns: editor, edits (held at once), metric, mean, low, high, n.
    """
    frame, lines = pd.DataFrame(rows), []
    for (editor, held), group in frame.groupby(["editor", "edits"], sort=False):
        for metric, factor in METRICS.items():
            found = mean_interval(factor * group[metric].to_numpy(float))
            lines.append([editor, held, metric, found.mean, found.low, found.high, found.n])
    return pd.DataFrame(lines, columns=["editor", "edits", "metric", "mean", "low", "high", "n"])


@reported(log)
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = parser_of("sentiment_compare", __doc__.split("\n")[0])
    parser.add_argument("--scorer", required=True, help="folder of the sentiment scorer")
    parser.add_argument("--parts", type=Path, required=True, help="folder that papers.serac.sentiment_train wrote")
    parser.add_argument("--edits", type=int, default=100, help="edits tested at each number held")
    parser.add_argument("--anchors", type=int, default=2, help="prompts about other topics per tested edit")
    parser.add_argument("--shown", type=int, default=3, help="edits that are shown in words")
    parser.add_argument("--out", type=Path, required=True, help="summary to write; parts.csv and shown.jsonl beside it")
    options = parser.parse_args(arguments)
    device = runtime.start(options.threads, options.device)
    import_methods(options.methods, [])
    lm = load_model(options.model, kind=SEQ2SEQ, device=device)
    scorer = load_model(options.scorer, kind="classifier", device=device)
    topics = topics_of(options.files, options.validation)
    pool = Pool(lm, sentiment_examples(topics["train"], options.seed), max_tokens=options.max_tokens)
    fillers = [*topics["train"], *topics["validation"]]
    at = {name: variant["at"] for name, variant in options.variants.items()}
    built = {}
    for name, variant in options.variants.items():
        own = {key: value for key, value in variant.items() if key != "at"}
        built[name] = own | ({"folder": str(options.parts)} if own["editor"] in MEMORIES else {})
    rows: list[dict[str, Any]] = []
    broken, words = pd.DataFrame(), []
    for name, method, _ in methods_of(lm, {"train": pool}, options.modules, built, options.parts / "editors"):
        for held in at[name]:
            with torch.no_grad(), fused_gelu(lm):
                for talk in talks(lm, topics["test"], fillers, held, options):
                    rows += [{"editor": name, "edits": held} | found for found in measured(lm, method, talk)]
            log.info("%s: %d edits held", name, held)
        if isinstance(method, Serac) and built[name]["editor"] == "serac":
            broken = pd.concat(
                [broken, broken_down(lm, method, scorer, topics["test"], options.seed).assign(editor=name)]
            )
            words += [
                row | {"editor": name} for row in shown(lm, method, scorer, topics["test"], options.shown, options.seed)
            ]
    write_summary(summarised(rows), options.out)
    write_summary(broken, options.out.with_name("parts.csv"))
    write_jsonl(options.out.with_name("shown.jsonl"), words)


if __name__ == "__main__":
    main()
