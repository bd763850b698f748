"""The command line that papers with editors share: its options. What the commands do: `shared.editing.command`.

Nothing here loads torch, so that `--help` answers at once.
"""

import argparse
import importlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from shared.editing.runs import SINGLE
from shared.errors import EditingError
from shared.paper import Paper


def new_parser(paper: Paper, examples: str) -> tuple[argparse.ArgumentParser, argparse._SubParsersAction]:
    """Return a paper's parser, and the place where its commands are added."""
    parser = argparse.ArgumentParser(
        prog=f"python -m papers.{paper.key}",
        description=paper.citation(),
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    return parser, parser.add_subparsers(dest="command", required=True)


def run(parser: argparse.ArgumentParser, commands: str, arguments: Sequence[str] | None = None) -> int:
    """Run the chosen command and return the exit status: 0, or 1 after an error that the message explains.

    Args:
        commands: dotted name of the module that has a function for each command; imported when one is run.
    """
    options = parser.parse_args(arguments)
    try:
        getattr(importlib.import_module(commands), options.command)(options)
    except EditingError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


def add_model(parser: argparse.ArgumentParser) -> None:
    """Add the options `--model`, `--device`, `--threads`."""
    group = parser.add_argument_group("model")
    group.add_argument("--model", required=True, help="folder with config.json and *.safetensors, or a hub id")
    group.add_argument("--device", default="cpu", help="cpu or cuda (default: cpu)")
    group.add_argument("--threads", type=int, default=1, help="CPU threads (default: 1)")


def add_editor(parser: argparse.ArgumentParser, editors: Mapping[str, str]) -> argparse._ArgumentGroup:
    """Add `--editor` and what all editors have in common, and return the group for a paper's own options.

    Args:
        editors: key of each editor → what it is, the default first.
    """
    group = parser.add_argument_group("method")
    default = next(iter(editors))
    described = [f"{key}: {what}" if what else key for key, what in editors.items()]
    group.add_argument(
        "--editor", choices=list(editors), default=default, help=f"{'; '.join(described)} (default: {default})"
    )
    group.add_argument(
        "--layer",
        "--layers",
        dest="layers",
        type=int,
        nargs="+",
        metavar="LAYER",
        help="edited layers, from 0 (default: the published ones of a known model)",
    )
    group.add_argument("--moments", type=Path, help="second moments of keys, made by `python -m shared.fit.moments`")
    group.add_argument("--corpus", type=Path, help="collect the moments now from this text file, a document per line")
    group.add_argument("--documents", type=int, help="documents read from --corpus (default: all)")
    group.add_argument("--seed", type=int, default=0, help="seed of sampled prefixes and texts (default: 0)")
    return group


def add_edit(commands: argparse._SubParsersAction, editors: Mapping[str, str]) -> argparse._ArgumentGroup:
    """Add the command `edit`, and return the group for a paper's own options of its editors."""
    parser = commands.add_parser("edit", help="change one fact and compare the model before and after")
    parser.add_argument("--subject", required=True, help='e.g. "The Space Needle"')
    parser.add_argument("--prompt", required=True, help='text with {} for the subject, e.g. "{} is located in"')
    parser.add_argument("--target", required=True, help="what the model shall say next")
    parser.add_argument("--true", help="what it says now: its probability is shown too")
    parser.add_argument("--also", nargs="*", default=[], metavar="PROMPT", help="further full prompts to compare at")
    parser.add_argument("--length", type=int, default=30, help="tokens of the sampled texts (default: 30)")
    parser.add_argument("--save-edit", type=Path, metavar="FILE", help="save the weight change (safetensors)")
    parser.add_argument("--save-adapter", type=Path, metavar="FOLDER", help="save it as a LoRA adapter for peft")
    parser.add_argument("--save-model", type=Path, metavar="FOLDER", help="save the whole edited model")
    add_model(parser)
    return add_editor(parser, editors)


def add_evaluate(commands: argparse._SubParsersAction, editors: Mapping[str, str]) -> argparse._ArgumentGroup:
    """Add the command `evaluate`, and return the group for a paper's own options of its editors."""
    parser = commands.add_parser("evaluate", help="edit the cases of a file and print the metrics")
    parser.add_argument("--cases", type=Path, required=True, help="CounterFact or zsRE JSON, or your own requests")
    parser.add_argument(
        "--dataset",
        choices=["counterfact", "zsre", "requests"],
        default="counterfact",
        help="format of the file; `requests`: JSON lines with subject, prompt, target_new, ... (default: counterfact)",
    )
    parser.add_argument("--first", type=int, help="only the first N cases")
    parser.add_argument(
        "--protocol",
        default=SINGLE,
        help="single: each case on its own (default); batch:N: blocks of N cases edited jointly",
    )
    parser.add_argument(
        "--batch", type=int, default=16, help="cases computed together; memory grows with it (default: 16)"
    )
    parser.add_argument("--out", type=Path, help="also save one line per probe")
    add_model(parser)
    return add_editor(parser, editors)
