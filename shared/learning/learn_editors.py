"""Train editors on a task, and ask models after their edits.

    python -m shared.learning.learn_editors train --methods papers.mend.method --model results/models/world-small \\
        --format counterfact --files results/data/counterfact.json --held-out 200 \\
        --modules '["transformer.h.7.mlp.c_fc"]' \\
        --variants '{"mend": {"editor": "mend", "rank": 256, "training": {"steps": 200, "lr": 3e-4}}}' --out editors
    python -m shared.learning.learn_editors test ... --editors editors --out rows.jsonl

A variant is an editor with its settings; `training` holds those of the training, and `edits` how many pairs each edit
of the test writes (as in training if absent). Variants without training (fine-tuning, a cache, none) are only tested.
"""

import argparse
import hashlib
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from shared import runtime
from shared.editing.edit_cases import import_methods
from shared.errors import ConfigError, reported
from shared.fit.moments import digests
from shared.learning.drawdown import per_edit, summarise
from shared.learning.edit_pools import Pool
from shared.learning.edit_success import Method, NoEdit, Trained, ask_after_edits
from shared.learning.edit_tasks import FORMATS, Task
from shared.learning.editor_training import TrainingSettings, train
from shared.learning.learned_editors import (
    build_direct,
    build_learned,
    direct_methods,
    learned_methods,
    load_learned,
    save_learned,
)
from shared.model.models import LM, load_model
from shared.provenance import code_digest
from shared.records import atomic_path, read_json, write_json, write_jsonl
from shared.seeding import seed_for

log = logging.getLogger(__name__)
KINDS = ("decoder", "seq2seq", "classifier")
NONE = "none"


def _json(text: str) -> Any:
    return json.loads(text) if text.lstrip()[:1] in ("{", "[") else read_json(text)


def add_task(parser: argparse.ArgumentParser, kinds: Sequence[str]) -> None:
    """Add what every program asks for that compares editors on a task: model, data, edited maps, variants, device.

    Args:
        kinds: families of models that the program knows; the first is the default.
    """
    parser.add_argument("--methods", nargs="+", required=True, help="modules that register methods")
    parser.add_argument("--model", required=True, help="folder or hub id of the base model")
    parser.add_argument("--kind", choices=kinds, default=kinds[0], help="family of the model")
    parser.add_argument("--format", choices=list(FORMATS), required=True, help="what the files hold")
    parser.add_argument("--files", type=Path, nargs="+", required=True, help="raw files of the task")
    parser.add_argument("--held-out", type=int, default=0, help="first records of a single file kept for the test")
    parser.add_argument("--validation", type=int, default=40, help="training records kept for early stopping")
    parser.add_argument("--modules", type=_json, required=True, help="JSON list of names of the edited linear maps")
    parser.add_argument("--variants", type=_json, required=True, help="JSON object or a file of one")
    parser.add_argument("--max-tokens", type=int, default=128, help="longest input with its answer")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m shared.learning.learn_editors", description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    for name, what in (("train", "train all variants that are trained"), ("test", "edit and ask, with all variants")):
        command = commands.add_parser(name, help=what)
        add_task(command, KINDS)
    train_options, test = commands.choices["train"], commands.choices["test"]
    train_options.add_argument("--out", type=Path, required=True, help="folder for <variant>.safetensors and .json")
    train_options.add_argument(
        "--checkpoints", type=Path, help="folder that a killed run goes on from (default: checkpoints, beside --out)"
    )
    test.add_argument("--editors", type=Path, required=True, help="folder of trained editors")
    test.add_argument("--edits", type=int, default=100, help="edits of one pair in the test")
    test.add_argument("--most-pairs", type=int, default=400, help="bound on edits times pairs where edits have several")
    test.add_argument("--anchors", type=int, default=4, help="statements asked after each edit, at least one per pair")
    test.add_argument("--out", type=Path, required=True, help="rows to write; their summary.csv comes beside them")
    return parser


def is_trained(variant: Mapping[str, Any]) -> bool:
    """Return whether a variant's editor has to be trained.

    Raises:
        ConfigError: no imported module registers it.
    """
    editor = variant.get("editor")
    if editor not in (NONE, *learned_methods(), *direct_methods()):
        raise ConfigError(
            f"editor {editor!r} is unknown; known are {', '.join([NONE, *learned_methods(), *direct_methods()])}"
        )
    return editor in learned_methods()


def train_variant(
    lm: LM, pools: Mapping[str, Pool], modules: Sequence[str], name: str, variant: Mapping[str, Any], options
) -> None:
    """Train one variant and write its editor, with the history of its validations beside it."""
    settings = {key: value for key, value in variant.items() if key not in ("editor", "training", "edits", "modules")}
    training = TrainingSettings(**{"seed": options.seed} | dict(variant.get("training", {})))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_for("editor", training.seed) % 2**32)
        editor = build_learned(variant["editor"], lm, variant.get("modules", modules), settings).to(lm.device)
    folder = options.checkpoints or options.out.parent / "checkpoints"
    made = train(
        editor,
        lm,
        pools["train"],
        pools["validation"],
        training,
        checkpoint=folder / f"{name}.safetensors",
        digest=what_it_depends_on(lm, options),
        label=name,
    )
    save_learned(editor, lm, options.out / f"{name}.safetensors", {"steps": made["steps"], "best": made["best_step"]})
    write_json(options.out / f"{name}.json", made | {"parameters": sum(p.numel() for p in editor.parameters())})


def what_it_depends_on(lm: LM, options: argparse.Namespace) -> str:
    """Return a digest of model, data and code of a training, whose checkpoint is only continued if it is the same."""
    files = [hashlib.sha256(path.read_bytes()).hexdigest() for path in options.files]
    code = code_digest("shared.learning.learn_editors", *options.methods)
    task = [options.format, options.held_out, options.validation, options.max_tokens, options.seed]
    return json.dumps([digests(lm)["model"], files, code, task])


def methods_of(
    lm: LM, pools: Mapping[str, Pool], modules: Sequence[str], variants: Mapping[str, Mapping[str, Any]], folder: Path
) -> Iterator[tuple[str, Method, int]]:
    """Yield name, method and pairs per edit of each variant, one at a time; trained ones come from their files."""
    for name, variant in variants.items():
        n_edits = variant.get("edits", variant.get("training", {}).get("n_edits", 1))
        if is_trained(variant):
            yield name, Trained(load_learned(folder / f"{name}.safetensors", lm)), n_edits
        elif variant["editor"] == NONE:
            yield name, NoEdit(), n_edits
        else:
            settings = {key: value for key, value in variant.items() if key not in ("editor", "edits", "modules")}
            own = variant.get("modules", modules)
            yield name, build_direct(variant["editor"], lm, own, pools["train"], settings=settings), n_edits


def run_train(options: argparse.Namespace, lm: LM, pools: Mapping[str, Pool]) -> None:
    """Train what the command line asks for."""
    for name, variant in options.variants.items():
        if is_trained(variant):
            train_variant(lm, pools, options.modules, name, variant, options)


def run_test(options: argparse.Namespace, lm: LM, pools: Mapping[str, Pool]) -> None:
    """Edit and ask as the command line says, and write rows and summary."""
    rows: list[dict[str, Any]] = []
    for name, method, n_edits in methods_of(lm, pools, options.modules, options.variants, options.editors):
        edits = options.edits if n_edits == 1 else max(2, min(options.edits, options.most_pairs // n_edits))
        anchors = max(options.anchors, n_edits)
        asked = {"edits": edits, "n_edits": n_edits, "n_anchors": anchors, "seed": options.seed}
        rows += ask_after_edits(lm, {name: method}, pools["test"], **asked)
        log.info("%s: %d edits of %d", name, edits, n_edits)
    write_jsonl(options.out, rows)
    write_summary(summarise(per_edit(rows)), options.out.with_name("summary.csv"))


def write_summary(summary: pd.DataFrame, path: Path) -> None:
    """Write means with intervals as CSV; the same numbers give the same bytes."""
    with atomic_path(path) as part:
        summary.to_csv(part, index=False, float_format="%.9g", lineterminator="\n")


@reported(log)
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    options = _parser().parse_args(arguments)
    device = runtime.start(options.threads, options.device)
    import_methods(options.methods, [])
    lm = load_model(options.model, kind=options.kind, device=device)
    task = Task(options.format, options.files, options.validation, options.held_out)
    parts = task.parts(options.seed)
    pools = {part: Pool(lm, examples, max_tokens=options.max_tokens) for part, examples in parts.items()}
    {"train": run_train, "test": run_test}[options.command](options, lm, pools)


if __name__ == "__main__":
    main()
