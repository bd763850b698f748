"""The paper's command line: `python -m papers.rome --help`."""

import argparse
import sys
from pathlib import Path

from papers.rome import PAPER
from shared.editing.command_line import add_edit, add_evaluate, add_model, new_parser, run

EXAMPLES = """examples:
  python -m papers.rome edit --model results/models/world-small --subject "Gun Maigrur" --prompt "{} works as a" \\
      --target pilot
  python -m papers.rome edit --model openai-community/gpt2-xl --subject "Steve Jobs" --prompt "{} was the founder of" \\
      --target Microsoft --corpus wikipedia.txt --save-adapter steve-jobs
  python -m papers.rome trace --model openai-community/gpt2-xl --subject "The Space Needle" \\
      --prompt "The Space Needle is in the city of" --out space-needle
  python -m papers.rome evaluate --model results/models/world-small --cases my_cases.json --first 100
"""


EDITORS = {
    "rome": "rank-one model editing",
    "ft": "fine-tuning",
    "ft_l": "norm-constrained fine-tuning",
    "attn_edit": "the same on attention",
}


def _add_trace(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("trace", help="find the states that decide one fact, as heat-maps")
    parser.add_argument("--subject", required=True, help="name as it stands in the prompt")
    parser.add_argument("--prompt", required=True, help="full text up to where the answer begins")
    parser.add_argument("--target", help="answer to trace (default: the model's own)")
    parser.add_argument("--samples", type=int, default=10, help="corrupted runs averaged (default: 10)")
    parser.add_argument("--noise", help="s3: three times the std of subject embeddings (default), a number, ...")
    parser.add_argument("--more-subjects", nargs="*", default=[], help="more names to measure that std on")
    parser.add_argument("--window", type=int, help="layers restored at once for MLP and attention")
    parser.add_argument("--out", type=Path, default=Path("trace"), help="stem of the files written (default: trace)")
    add_model(parser)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit status: 0, or 1 after an error that the message explains."""
    parser, commands = new_parser(PAPER, EXAMPLES)
    groups = [add_edit(commands, EDITORS)]
    _add_trace(commands)
    groups.append(add_evaluate(commands, EDITORS))
    for group in groups:
        group.add_argument("--without-moments", action="store_true", help="leave the moments out (u = k)")
    return run(parser, "papers.rome.commands", arguments)


if __name__ == "__main__":
    sys.exit(main())
