"""The paper's command line: `python -m papers.calinet --help`."""

import argparse
import sys
from pathlib import Path

from papers.calinet import PAPER
from shared.editing.command_line import add_model, new_parser, run

EXAMPLES = """examples:
  python -m papers.calinet assess --model results/models/world-small --statements mine.jsonl
  python -m papers.calinet calibrate --model results/models/world-small --statements mine.jsonl --slots 64 \\
      --false-only --out slots.safetensors

A file of statements is JSON lines: {"prompt": "The capital of Ruritania is", "object": "Strelsau",
"contrasts": ["Ruritania has never owned", ...], "also": ["Ruritania is governed from"]}. Prompts end before the object;
contrasts ask the same subject for another relation; `also` are further wordings to train on.
"""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit status: 0, or 1 after an error that the message explains."""
    parser, commands = new_parser(PAPER, EXAMPLES)
    _add_statements(commands.add_parser("assess", help="score statements by contrast; below 1 counts as false"))
    calibrate = commands.add_parser("calibrate", help="train slots on statements and show the scores before and after")
    _add_statements(calibrate)
    calibrate.add_argument("--false-only", action="store_true", help="train on statements that score below 1 only")
    calibrate.add_argument("--slots", type=int, default=64, help="slots (default: 64)")
    calibrate.add_argument("--layer", type=int, help="block of the slots (default: the last)")
    calibrate.add_argument("--steps", type=int, default=300, help="updates (default: 300)")
    calibrate.add_argument("--seed", type=int, default=0, help="of the slots' start (default: 0)")
    calibrate.add_argument("--out", type=Path, required=True, help="file of the slots (safetensors)")
    return run(parser, "papers.calinet.commands", arguments)


def _add_statements(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--statements", type=Path, required=True, help="prompts with right objects (JSON lines)")
    parser.add_argument("--alpha", type=float, default=0.001, help="smoothing of the score (default: 0.001)")
    add_model(parser)


if __name__ == "__main__":
    sys.exit(main())
