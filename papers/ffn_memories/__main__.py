"""The papers' command line: `python -m papers.ffn_memories --help`."""

import argparse
import sys
from pathlib import Path

from papers.ffn_memories import PAPER
from shared.editing.command_line import add_model, new_parser, run

EXAMPLES = """examples:
  python -m papers.ffn_memories values --model results/models/world-small --layer 6 --show 20
  python -m papers.ffn_memories values --model openai-community/gpt2-medium --layer 14 --keys 72 1394
  python -m papers.ffn_memories triggers --model results/models/world-small --layer 0 --keys 36 44 --corpus corpus.txt
  python -m papers.ffn_memories updates --model results/models/world-small --prompt "Gun Maigrur works as a"
"""


def _add(commands: argparse._SubParsersAction, name: str, text: str) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=text)
    parser.add_argument("--tokens", type=int, default=10, help="tokens shown of each (default: 10)")
    parser.add_argument("--projection", default="normed", help="normed (default): through the final norm; or plain")
    add_model(parser)
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit status: 0, or 1 after an error that the message explains."""
    parser, commands = new_parser(PAPER, EXAMPLES)
    values = _add(commands, "values", "print what a layer's values promote")
    values.add_argument("--layer", type=int, required=True, help="layer, from 0")
    values.add_argument("--keys", type=int, nargs="*", help="which values (default: the sharpest)")
    values.add_argument("--show", type=int, default=20, help="values shown where --keys names none (default: 20)")
    triggers = _add(commands, "triggers", "print the texts that keys respond to most")
    triggers.add_argument("--layer", type=int, required=True, help="layer, from 0")
    triggers.add_argument("--keys", type=int, nargs="+", required=True, help="which keys")
    triggers.add_argument("--corpus", type=Path, required=True, help="text file, one document a line")
    triggers.add_argument("--first", type=int, default=2000, help="lines read (default: 2000)")
    triggers.add_argument("--top", type=int, default=10, help="texts shown of each key (default: 10)")
    updates = _add(commands, "updates", "print how the layers build a prompt's next token")
    updates.add_argument("--prompt", required=True, help="text")
    updates.add_argument("--dominant", type=int, default=3, help="sub-updates shown of each layer (default: 3)")
    return run(parser, "papers.ffn_memories.commands", arguments)


if __name__ == "__main__":
    sys.exit(main())
