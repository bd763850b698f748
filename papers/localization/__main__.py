"""The paper's command line: `python -m papers.localization --help`."""

import sys
from argparse import ArgumentParser, _SubParsersAction
from collections.abc import Sequence
from pathlib import Path

from papers.localization import PAPER
from papers.localization.problems import PROBLEMS
from shared.editing.command_line import add_editor, add_model, new_parser, run

EDITORS = {
    "rome": "",
    "memit": "edits a window of layers",
    "ft_1": "fine-tuning of one layer",
    "ft_5": "fine-tuning of a window of layers",
}
EXAMPLES = """examples:
  python -m papers.localization trace --model results/models/world-small --subject "Grol Keikru" \\
      --prompt "{} is a master of the" --true violin
  python -m papers.localization edit --model results/models/world-small --subject "Grol Keikru" \\
      --prompt "{} is a master of the" --true violin --new lute --paraphrase "Grol Keikru plays the" \\
      --neighbor "Ran Geivei gives concerts on the"
  python -m papers.localization edit --model openai-community/gpt2-xl --editor ft_1 --problem fact_erasure \\
      --subject "The Space Needle" --prompt "{} is in the city of" --true Seattle --layers 0 12 24 36 47

trace shows how much of the fact comes back when MLP outputs are restored around each layer; edit changes the fact at
each of several layers and shows the scores beside that number: does the one tell the other?
"""


def _add_fact(parser: ArgumentParser) -> None:
    parser.add_argument("--subject", required=True, help='e.g. "The Space Needle"')
    parser.add_argument("--prompt", required=True, help='text with {} for the subject, e.g. "{} is located in"')
    parser.add_argument("--true", required=True, help="what the model says next: the fact")
    parser.add_argument("--windows", type=int, nargs="+", help="restored layers (default: the model's, or 5)")
    parser.add_argument("--noise", help="s3: three times the std of subject embeddings (default), or a number")
    parser.add_argument("--more-subjects", nargs="*", default=[], help="more names to measure that std on")
    parser.add_argument("--samples", type=int, default=10, help="corrupted runs averaged (default: 10)")


def _add_trace(commands: _SubParsersAction) -> None:
    parser = commands.add_parser("trace", help="trace one fact through MLP windows of several sizes")
    _add_fact(parser)
    parser.add_argument("--out", type=Path, default=Path("trace"), help="stem of the files written (default: trace)")
    add_model(parser)


def _add_edit(commands: _SubParsersAction) -> None:
    parser = commands.add_parser("edit", help="edit one fact at several layers and compare with its trace")
    _add_fact(parser)
    parser.add_argument("--problem", choices=list(PROBLEMS), default="error_injection", help="what the edit is to do")
    parser.add_argument("--new", help="the false object, for error_injection")
    parser.add_argument("--paraphrase", nargs="*", default=[], metavar="PROMPT", help="full prompts that should follow")
    parser.add_argument("--neighbor", nargs="*", default=[], metavar="PROMPT", help="full prompts that should not")
    parser.add_argument(
        "--mode", choices=["as_paper", "as_released"], default="as_paper", help="reading of the protocol"
    )
    parser.add_argument("--out", type=Path, help="also save the table as CSV")
    add_model(parser)
    add_editor(parser, EDITORS)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status: 0, or 1 after an error that the message explains."""
    parser, commands = new_parser(PAPER, EXAMPLES)
    for add in (_add_trace, _add_edit):
        add(commands)
    return run(parser, "papers.localization.commands", arguments)


if __name__ == "__main__":
    sys.exit(main())
