"""The paper's command line: `python -m papers.t_patcher --help`."""

import argparse
import sys
from pathlib import Path

from papers.t_patcher import PAPER
from shared.editing.command_line import add_model, new_parser, run

EXAMPLES = """examples:
  python -m papers.t_patcher patch --model results/models/world-qa --kind seq2seq \\
      --mistakes results/data/zsre_edit.jsonl --first 20 --memory results/data/zsre_train.jsonl \\
      --patches mine.safetensors
  python -m papers.t_patcher list --patches mine.safetensors
  python -m papers.t_patcher remove --patches mine.safetensors --examples 3 7

A file of mistakes is JSON lines: {"input": "…", "output": [{"answer": "…"}]}; a classifier's answers are SUPPORTS or
REFUTES. The file of the memory has the same form: what the model is asked otherwise, with the answers it should keep.
"""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit status: 0, or 1 after an error that the message explains."""
    parser, commands = new_parser(PAPER, EXAMPLES)
    patch = commands.add_parser("patch", help="mend a model's mistakes one after another")
    patch.add_argument("--kind", choices=["decoder", "seq2seq", "classifier"], required=True, help="what the model is")
    patch.add_argument("--mistakes", type=Path, required=True, help="inputs with their right answers (JSON lines)")
    patch.add_argument("--first", type=int, help="only the first N of them")
    patch.add_argument("--memory", type=Path, help="inputs to leave alone (JSON lines); without it nothing is kept")
    patch.add_argument("--remembered", type=int, default=1000, help="how many of them (default: 1000)")
    patch.add_argument("--memory-weight", type=float, default=10.0, help="factor of the memory loss (default: 10)")
    patch.add_argument("--top", type=int, default=100, help="largest terms of the memory loss (default: 100)")
    patch.add_argument("--max-steps", type=int, default=2000, help="updates per mistake at most (default: 2000)")
    patch.add_argument("--seed", type=int, default=0, help="seed of the values' starts (default: 0)")
    _add_file(patch)
    add_model(patch)
    _add_file(commands.add_parser("list", help="show the patches of a file"))
    remove = commands.add_parser("remove", help="take the patches of some mistakes out of a file")
    remove.add_argument("--examples", type=int, nargs="+", required=True, help="numbers of the mistakes, as listed")
    _add_file(remove)
    return run(parser, "papers.t_patcher.commands", arguments)


def _add_file(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--patches", type=Path, required=True, help="the file of patches (safetensors)")


if __name__ == "__main__":
    sys.exit(main())
