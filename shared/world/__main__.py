"""Command line of the world: facts, tokenizers, decoders and their gate; every file appears only when it is complete.

python -m shared.world generate --people 180 --seed 0 --out DIR
python -m shared.world records --facts DIR/facts.json --out DIR
python -m shared.world counterfact-facts --counterfact counterfact.json --out DIR
python -m shared.world tokenizer --facts DIR/facts.json --out DIR
python -m shared.world decoder --facts DIR/facts.json --tokenizer DIR --size small --seed 0 --out DIR
python -m shared.world gate --model DIR --facts DIR/facts.json --out card.json
"""

import argparse
import json
import logging
import sys
from pathlib import Path
from typing import Any

from shared import runtime
from shared.errors import EditingError
from shared.model.models import load_lm
from shared.records import read_json, write_json
from shared.world.factbook import FactBook
from shared.world.folders import atomic_folder
from shared.world.gate import GATES, failures, measure, read_thresholds
from shared.world.generate import WorldConfig, generate_world
from shared.world.raw import write_book, write_world
from shared.world.real import counterfact_facts
from shared.world.recipes import RECIPES, recipe_named
from shared.world.records import write_records
from shared.world.tokenizer import load_tokenizer, save_tokenizer, train_tokenizer
from shared.world.train import train_decoder

logger = logging.getLogger("shared.world")


def generate(options: argparse.Namespace) -> None:
    """Write the raw files of a generated world."""
    book = generate_world(WorldConfig(seed=options.seed, people=options.people, alias_share=options.alias_share))
    logger.info("%s: %s", options.out, write_world(book, options.out, options.corpus_documents))


def make_records(options: argparse.Namespace) -> None:
    """Write the raw files of the further model families about a generated world."""
    logger.info("%s: %s", options.out, write_records(FactBook.load(options.facts), options.out, options.passages))


def read_counterfact(options: argparse.Namespace) -> None:
    """Write the facts of real CounterFact records in the same files."""
    book = counterfact_facts(options.counterfact, options.records, options.seed)
    logger.info("%s: %s", options.out, write_book(book, options.out, options.corpus_documents))


def make_tokenizer(options: argparse.Namespace) -> None:
    """Train a tokenizer on a fact book."""
    tokenizer = train_tokenizer(FactBook.load(options.facts), options.vocabulary, options.seed)
    save_tokenizer(tokenizer, options.out)
    logger.info("%s: vocabulary of %d", options.out, len(tokenizer))


def make_decoder(options: argparse.Namespace) -> None:
    """Train a decoder on a fact book; the folder gets the model, its tokenizer and training.json."""
    recipe = recipe_named(options.size, dict(options.set))
    tokenizer = load_tokenizer(options.tokenizer)
    model, record = train_decoder(FactBook.load(options.facts), tokenizer, recipe, options.seed)
    with atomic_folder(options.out) as folder:
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        write_json(folder / "training.json", {"size": options.size, **record})
    logger.info("%s: trained in %.0f s", options.out, record["seconds"])


def pass_gate(options: argparse.Namespace) -> int:
    """Measure a decoder, write what was found, and return 1 if a threshold is missed (the file is then not written)."""
    training = read_json(Path(options.model) / "training.json")
    thresholds = read_thresholds(options.gate or training["size"], options.thresholds)
    measured = measure(load_lm(str(options.model)), FactBook.load(options.facts))
    missed = failures(measured, thresholds)
    report = {
        "passed": not missed,
        "thresholds": thresholds,
        "measured": measured,
        "training": {key: value for key, value in training.items() if key != "losses"},
    }
    if missed:
        failed = options.out.with_suffix(".failed.json")
        write_json(failed, report)
        logger.error("%s does not pass its gate: %s. What was measured: %s", options.model, "; ".join(missed), failed)
        return 1
    write_json(options.out, report)
    logger.info("%s passes its gate: %s", options.model, {name: round(measured[name], 3) for name in thresholds})
    return 0


def _assignment(text: str) -> tuple[str, Any]:
    name, separator, value = text.partition("=")
    if not separator:
        raise argparse.ArgumentTypeError(f"{text!r}: expected FIELD=VALUE")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: {value!r} is no number") from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m shared.world", description="Facts and decoders made from scratch.")
    commands = parser.add_subparsers(required=True, dest="command")

    def command(name: str, run: Any) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=run.__doc__, description=run.__doc__)
        sub.set_defaults(run=run)
        sub.add_argument("--out", type=Path, required=True)
        sub.add_argument("--seed", type=int, default=0)
        sub.add_argument("--threads", type=int, default=1)
        return sub

    sub = command("generate", generate)
    sub.add_argument("--people", type=int, default=180, help="size of the world (default 180)")
    sub.add_argument("--alias-share", type=float, default=0.2, help="share of people with a second name")
    sub.add_argument("--corpus-documents", type=int, default=4000)
    sub = command("records", make_records)
    sub.add_argument("--facts", type=Path, required=True)
    sub.add_argument("--passages", type=int, default=1000, help="passages of plain text for training")
    sub = command("counterfact-facts", read_counterfact)
    sub.add_argument("--counterfact", type=Path, required=True)
    sub.add_argument("--records", type=int, help="use only the first so many records")
    sub.add_argument("--corpus-documents", type=int, default=20000)
    sub = command("tokenizer", make_tokenizer)
    sub.add_argument("--facts", type=Path, required=True)
    sub.add_argument("--vocabulary", type=int, default=2000, help="most tokens; books of real records need more")
    sub = command("decoder", make_decoder)
    sub.add_argument("--facts", type=Path, required=True)
    sub.add_argument("--tokenizer", type=Path, required=True)
    sub.add_argument("--size", choices=sorted(RECIPES), default="small")
    sub.add_argument("--set", type=_assignment, action="append", default=[], metavar="FIELD=VALUE", help="recipe field")
    sub = command("gate", pass_gate)
    sub.add_argument("--model", type=Path, required=True)
    sub.add_argument("--facts", type=Path, required=True)
    sub.add_argument("--gate", help="section of the thresholds; the model's size if absent")
    sub.add_argument("--thresholds", type=Path, default=GATES, help="YAML file of thresholds by size")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit status."""
    options = _parser().parse_args(arguments)
    runtime.start(options.threads)
    try:
        return options.run(options) or 0
    except EditingError as error:
        logger.error("%s", error)
        return 1


if __name__ == "__main__":
    sys.exit(main())
