"""Train the parts of SERAC for the sentiment of replies, and the learned editors to compare with.

    python -m papers.serac.sentiment_train --model results/models/world-dialogue --format sentiments \\
        --files results/data/convsent_train.json results/data/convsent_validation.json \\
        results/data/convsent_test.json \\
        --parts '{"scope": {"form": "embed", "start": "results/models/world-masked", "training": {"steps": 200}},
                  "counterfactual": {"start": "results/models/world-dialogue", "training": {"steps": 200}}}' --out DIR

The folder gets one folder per part, `training.json`, and `editors/` with a file per variant that is trained.
"""

import argparse
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from papers.serac.counterfactual import fresh_counterfactual, load_counterfactual
from papers.serac.sentiment import Record, read_topics, sentiment_examples
from papers.serac.sentiment_training import train_replies
from papers.serac.train import ANSWERS, COUNTERFACTUAL, train_part
from papers.serac.training import PartSettings
from shared import runtime
from shared.editing.edit_cases import import_methods
from shared.errors import reported
from shared.inference.text_batches import SEQ2SEQ
from shared.learning.edit_pools import Pool
from shared.learning.learn_editors import run_train
from shared.model.models import LM, load_model
from shared.records import write_json
from shared.seeding import seed_for
from shared.world.folders import atomic_folder

log = logging.getLogger(__name__)
SENTIMENTS = "sentiments"


def topics_of(files: Sequence[Path], validation: int) -> dict[str, list[Record]]:
    """Return the topics of the three files by part, at most `validation` of the second."""
    train, held_back, test = map(read_topics, files)
    return {"train": train, "validation": held_back[:validation], "test": test}


def reply_part(part: Mapping[str, Any], base: LM, topics: Mapping[str, list[Record]], folder: Path) -> dict[str, Any]:
    """Train the counterfactual model, write it to `folder` and return its history."""
    settings = PartSettings(**part["training"])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_for("part", COUNTERFACTUAL, settings.seed) % 2**31)
        fresh = "sizes" in part
        lm = fresh_counterfactual(base, part["sizes"]) if fresh else load_counterfactual(part["start"], base)
        history = train_replies(lm, topics["train"], topics["validation"], settings)
    lm.model.save_pretrained(folder)
    lm.tokenizer.save_pretrained(folder)
    return history


def parser_of(program: str, description: str) -> argparse.ArgumentParser:
    """Return the options that training and comparison share."""
    parser = argparse.ArgumentParser(prog=f"python -m papers.serac.{program}", description=description)
    parser.add_argument("--methods", nargs="*", default=[], help="modules that register the methods to compare with")
    parser.add_argument("--model", required=True, help="folder or hub id of the base model")
    parser.add_argument("--kind", choices=(SEQ2SEQ,), default=SEQ2SEQ, help="family of the base model")
    parser.add_argument("--format", choices=(SENTIMENTS,), default=SENTIMENTS, help="what the files hold")
    parser.add_argument("--files", type=Path, nargs=3, required=True, help="topics of training, validation and test")
    parser.add_argument("--held-out", type=int, choices=(0,), default=0, help="the files are divided already")
    parser.add_argument("--validation", type=int, default=60, help="most topics of the validation file")
    parser.add_argument("--modules", type=json.loads, default=[], help="JSON list of the maps that others edit")
    parser.add_argument("--variants", type=json.loads, default={}, help="JSON object: variant → editor and settings")
    parser.add_argument("--max-tokens", type=int, default=128, help="longest input with its answer")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    return parser


@reported(log)
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = parser_of("sentiment_train", __doc__.split("\n")[0])
    parser.add_argument("--parts", type=json.loads, required=True, help="JSON object: part → start, form, training")
    parser.add_argument("--checkpoints", type=Path, help="what a killed run goes on from (default: beside --out)")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    options = parser.parse_args(arguments)
    base = load_model(options.model, kind=SEQ2SEQ, device=runtime.start(options.threads, options.device))
    import_methods(options.methods, [])
    topics = topics_of(options.files, options.validation)
    # A validation has few topics, and may hold them all: it asks about those of training besides.
    others = {"train": (), "validation": topics["train"]}
    sets = {
        part: [sentiment_examples(topics[part], options.seed + shift, beside) for shift in range(ANSWERS)]
        for part, beside in others.items()
    }
    with atomic_folder(options.out) as folder:
        made = {
            name: reply_part(part, base, topics, folder / name)
            if name == COUNTERFACTUAL
            else train_part(name, part, base, sets, SEQ2SEQ, folder / name)
            for name, part in options.parts.items()
        }
        write_json(folder / "training.json", made)
        pools = {part: Pool(base, sets[part][0], max_tokens=options.max_tokens) for part in sets}
        (folder / "editors").mkdir()
        checkpoints = options.checkpoints or options.out.parent / "checkpoints"
        trained = vars(options) | {"out": folder / "editors", "checkpoints": checkpoints}
        run_train(argparse.Namespace(**trained), base, pools)


if __name__ == "__main__":
    main()
