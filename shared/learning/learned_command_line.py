"""The command line that papers with learned editors share. What they do: `shared.learning.learned_commands`.

Nothing here loads torch, so that `--help` answers at once.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from shared.editing.command_line import add_model, new_parser, run
from shared.paper import Paper

KINDS = ("decoder", "seq2seq", "classifier")


def _add_train(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("train", help="train an editor for a model; a killed training is continued")
    parser.add_argument("--edits", type=Path, required=True, help="JSON lines with input, target and equivalents")
    parser.add_argument("--anchors", type=Path, required=True, help="JSON lines with input and target that shall stay")
    parser.add_argument("--validation", type=int, default=20, help="last edits, kept for early stopping (default: 20)")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--layers", type=int, nargs="+", help="blocks of a decoder whose MLP maps are edited")
    where.add_argument("--modules", nargs="+", help="names of the edited linear maps, for any model")
    parser.add_argument("--settings", type=json.loads, default={}, help='JSON, e.g. {"rank": 256, "rate": 1e-3}')
    parser.add_argument("--training", type=json.loads, default={}, help='JSON, e.g. {"steps": 200, "lr": 1e-4}')
    parser.add_argument("--out", type=Path, required=True, help="trained editor to write (safetensors)")
    parser.add_argument("--seed", type=int, default=0)


def _add_edit(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("edit", help="edit by a trained editor and compare the model before and after")
    parser.add_argument("--editor", type=Path, required=True, help="file made by `train`, for this very model")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--input", help="what the model is asked")
    what.add_argument("--edits", type=Path, help="JSON lines with input and target, written together")
    parser.add_argument("--target", help="what it shall answer to --input")
    parser.add_argument("--also", nargs="*", default=[], metavar="INPUT", help="further inputs to compare at")
    parser.add_argument("--save-edit", type=Path, metavar="FILE", help="save the weight change (safetensors)")
    parser.add_argument("--save-model", type=Path, metavar="FOLDER", help="save the whole edited model")


def run_learned(paper: Paper, examples: str, arguments: Sequence[str] | None = None) -> int:
    """Run `train` or `edit` of a paper's `commands` and return the exit status: 0, or 1 after an explained error."""
    parser, commands = new_parser(paper, examples)
    _add_train(commands)
    _add_edit(commands)
    for command in commands.choices.values():
        command.add_argument("--kind", choices=KINDS, default="decoder", help="family of the model (default: decoder)")
        add_model(command)
    return run(parser, f"papers.{paper.key}.commands", arguments)
