"""The paper's command line: `python -m papers.memit --help`."""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

from papers.memit import PAPER
from shared.editing.command_line import add_editor, add_evaluate, add_model, new_parser, run

EXAMPLES = """examples:
  python -m papers.memit edit --model results/models/world-small --requests facts.jsonl --save-model edited
  python -m papers.memit edit --model EleutherAI/gpt-j-6b --device cuda --requests facts.jsonl \\
      --corpus wikipedia.txt --save-adapter facts-as-lora
  python -m papers.memit evaluate --model results/models/world-small --cases results/data/counterfact.json \\
      --first 200 --protocol batch:100

a line of facts.jsonl:
  {"subject": "Gun Maigrur", "prompt": "{} works as a", "target_new": "pilot"}
"""
EDITORS = {"memit": "mass editing of MLPs", "ft_w": "fine-tuning of one block"}


def _add_edit(commands: argparse._SubParsersAction, editors: Mapping[str, str]) -> argparse._ArgumentGroup:
    parser = commands.add_parser("edit", help="write many facts at once and compare the model before and after")
    parser.add_argument(
        "--requests",
        type=Path,
        required=True,
        help="JSON lines (or an array) with subject, prompt with {} for it, target_new, and if known target_true",
    )
    parser.add_argument("--show", type=int, default=5, help="facts that are shown before and after (default: 5)")
    parser.add_argument("--length", type=int, default=30, help="tokens of the sampled texts (default: 30)")
    parser.add_argument("--save-edit", type=Path, metavar="FILE", help="save the weight change (safetensors)")
    parser.add_argument("--save-adapter", type=Path, metavar="FOLDER", help="save it as a LoRA adapter for peft")
    parser.add_argument("--save-model", type=Path, metavar="FOLDER", help="save the whole edited model")
    add_model(parser)
    return add_editor(parser, editors)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit status: 0, or 1 after an error that the message explains."""
    parser, commands = new_parser(PAPER, EXAMPLES)
    for group in (_add_edit(commands, EDITORS), add_evaluate(commands, EDITORS)):
        group.add_argument("--weight", type=float, metavar="LAMBDA", help="weight of the second moment")
        group.add_argument("--joint", action="store_true", help="search one change for all facts about a subject")
        group.add_argument("--allow-conflicts", action="store_true", help="edit facts that contradict each other, too")
    return run(parser, "papers.memit.commands", arguments)


if __name__ == "__main__":
    sys.exit(main())
