"""The paper's command line: `python -m papers.serac --help`."""

import sys
from pathlib import Path

from papers.serac import PAPER
from shared.editing.command_line import add_model, new_parser, run

EXAMPLES = """examples:
  python -m papers.serac add --memory edits.log --input "What is the occupation of Gun Maigrur?" --target pilot
  python -m papers.serac add --memory edits.log --edits edits.jsonl
  python -m papers.serac list --memory edits.log
  python -m papers.serac remove --memory edits.log 0 3
  python -m papers.serac compact --memory edits.log
  python -m papers.serac ask --memory edits.log --model results/models/world-qa \\
      --parts results/serac/studies/questions/parts "What does Gun Maigrur do for a living?"

a line of edits.jsonl (a statement that is asserted true has no target):
  {"input": "What is the occupation of Gun Maigrur?", "target": "pilot"}

The parts are trained on one's own edits by `python -m papers.serac.train --help`.
"""
KINDS = ("seq2seq", "classifier")


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit status: 0, or 1 after an error that the message explains."""
    parser, commands = new_parser(PAPER, EXAMPLES)
    add = commands.add_parser("add", help="add edits to a memory; they are on disk when the command returns")
    what = add.add_mutually_exclusive_group(required=True)
    what.add_argument("--input", help="an input, or a statement that is asserted true")
    what.add_argument("--edits", type=Path, help="JSON lines with input and target")
    add.add_argument("--target", default="", help="what the model shall answer to --input")
    remove = commands.add_parser("remove", help="remove edits from a memory")
    remove.add_argument("numbers", type=int, nargs="+", help="numbers of the edits, see `list`")
    commands.add_parser("list", help="show the edits of a memory")
    commands.add_parser("compact", help="write a memory's file anew, without what was removed; all numbers stay")
    ask = commands.add_parser("ask", help="ask a model, with the memory and without it")
    ask.add_argument("questions", nargs="+", metavar="QUESTION")
    ask.add_argument("--parts", type=Path, required=True, help="folder that `python -m papers.serac.train` wrote")
    ask.add_argument("--scope", default="scope", help="which classifier of that folder (default: scope)")
    ask.add_argument("--kind", choices=KINDS, default="seq2seq", help="family of the model (default: seq2seq)")
    add_model(ask)
    for command in commands.choices.values():
        command.add_argument("--memory", type=Path, required=True, help="file of the memory")
    return run(parser, "papers.serac.commands", arguments)


if __name__ == "__main__":
    sys.exit(main())
