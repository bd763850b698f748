"""Train the parts of SERAC for a base model and a problem.

    python -m papers.serac.train --model results/models/world-qa --kind seq2seq --format scoped_questions \\
        --files results/data/zsre_train.jsonl results/data/zsre_validation.jsonl \\
        --parts '{"scope": {"form": "embed", "start": "results/models/world-masked", "training": {"steps": 800}},
                  "counterfactual": {"start": "results/models/world-qa", "training": {"steps": 800}}}' --out DIR

A part with a `form` is a scope classifier; the part `counterfactual` is the other model. The folder gets one folder per
part and `training.json`.
"""

import argparse
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from papers.serac.counterfactual import fresh_counterfactual, load_counterfactual
from papers.serac.lessons import Teacher
from papers.serac.scope import CLS, save_scope, start_scope
from papers.serac.training import PartSettings, train_counterfactual, train_scope
from shared import runtime
from shared.errors import reported
from shared.inference.text_batches import CLASSIFIER, DECODER, SEQ2SEQ
from shared.learning.edit_tasks import FORMATS, Task
from shared.model.models import LM, load_model
from shared.records import write_json
from shared.seeding import seed_for
from shared.world.folders import atomic_folder

log = logging.getLogger(__name__)
COUNTERFACTUAL = "counterfactual"
KINDS = (SEQ2SEQ, CLASSIFIER, DECODER)
# Other answers to edit in, for as many copies of the training examples.
ANSWERS = 4


def teachers(task: Task, kind: str, seed: int) -> dict[str, list]:
    """Return the examples of training and validation, each with several answers to edit in."""
    parts = [task.parts(seed + shift) for shift in range(1 if kind == CLASSIFIER else ANSWERS)]
    return {name: [sets[name] for sets in parts] for name in ("train", "validation")}


def train_part(name: str, part: Mapping[str, Any], base: LM, sets: Mapping[str, list], kind: str, folder: Path) -> dict:
    """Train one part, write it to `folder` and return its history."""
    settings = PartSettings(**part["training"])
    asserted = kind == CLASSIFIER
    asked = {"asserted": asserted, "near_share": settings.near_share}
    teacher = Teacher(sets["train"], foreign_share=settings.foreign_share, **asked)
    examiner = Teacher(sets["validation"], **asked)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_for("part", name, settings.seed) % 2**31)
        if name == COUNTERFACTUAL:
            fresh = "sizes" in part
            lm = fresh_counterfactual(base, part["sizes"]) if fresh else load_counterfactual(part["start"], base)
            history = train_counterfactual(lm, teacher, examiner, settings)
            lm.model.save_pretrained(folder)
            lm.tokenizer.save_pretrained(folder)
            return history
        scope = start_scope(part["form"], part["start"], part.get("pooling", CLS), part.get("layers"))
        scope.model.to(base.device)
        history = train_scope(scope, teacher, examiner, settings)
        save_scope(scope, folder)
        return history


@reported(log)
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m papers.serac.train", description=__doc__.split("\n")[0])
    parser.add_argument("--model", required=True, help="folder or hub id of the base model")
    parser.add_argument("--kind", choices=KINDS, required=True, help="family of the base model")
    parser.add_argument("--format", choices=list(FORMATS), required=True, help="what the files hold")
    parser.add_argument("--files", type=Path, nargs="+", required=True, help="raw files of the problem")
    parser.add_argument("--held-out", type=int, default=0, help="first records of a single file kept for the test")
    parser.add_argument("--validation", type=int, default=60, help="training records kept for validation")
    parser.add_argument("--parts", type=json.loads, required=True, help="JSON object: part → start, form, training")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    options = parser.parse_args(arguments)
    base = load_model(options.model, kind=options.kind, device=runtime.start(options.threads, options.device))
    sets = teachers(
        Task(options.format, options.files, options.validation, options.held_out), options.kind, options.seed
    )
    with atomic_folder(options.out) as folder:
        made = {
            name: train_part(name, part, base, sets, options.kind, folder / name)
            for name, part in options.parts.items()
        }
        write_json(folder / "training.json", made)


if __name__ == "__main__":
    main()
