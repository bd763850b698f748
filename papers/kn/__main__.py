"""The paper's command line: `python -m papers.kn --help`."""

import argparse
import sys
from pathlib import Path

from papers.kn import PAPER
from shared.editing.command_line import add_edit, add_evaluate, add_model, new_parser, run

EXAMPLES = """examples:
  python -m papers.kn find --model results/models/world-masked --answer doctor \\
      --prompts "Gun Maigrur works as a [MASK]." \\
      "The profession of Gun Maigrur is [MASK]." "[MASK] is the job of Gun Maigrur."
  python -m papers.kn suppress --model openai-community/gpt2 --answer Paris \\
      --prompts "The capital of France is" "France's capital city is" "The seat of the French government is in"
  python -m papers.kn edit --model results/models/world-small --subject "Gun Maigrur" --prompt "{} works as a" \\
      --true doctor --target pilot
"""

EDITORS = {"kn": "knowledge neurons' values"}


def _add_prompts(commands: argparse._SubParsersAction, name: str, text: str) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=text)
    parser.add_argument(
        "--prompts", nargs="+", required=True, help="wordings of one fact: up to the answer, or with the mask"
    )
    parser.add_argument("--answer", required=True, help="the answer, one token")
    parser.add_argument("--kind", choices=["causal", "masked"], help="what the model is (default: its config says)")
    parser.add_argument("--steps", type=int, default=20, help="nodes of the Riemann sum (default: 20)")
    parser.add_argument("--grid", default="left", help="left (default), right or inclusive")
    parser.add_argument(
        "--threshold", type=float, default=0.2, help="share of a prompt's greatest score (default: 0.2)"
    )
    parser.add_argument("--share", type=float, default=0.7, help="share of the prompts (default: 0.7)")
    parser.add_argument("--also", nargs="*", default=[], metavar="PROMPT=ANSWER", help="other facts to watch")
    add_model(parser)
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit status: 0, or 1 after an error that the message explains."""
    parser, commands = new_parser(PAPER, EXAMPLES)
    find = _add_prompts(commands, "find", "find the neurons that carry one fact")
    find.add_argument("--out", type=Path, help="also save layer, neuron and mean score as CSV")
    _add_prompts(commands, "suppress", "set them to zero and compare the answers")
    _add_prompts(commands, "amplify", "double them and compare the answers")
    for group in (add_edit(commands, EDITORS), add_evaluate(commands, EDITORS)):
        group.add_argument("--threshold", type=float, default=0.2, help="share of the greatest score (default: 0.2)")
        group.add_argument("--leading-space", action="store_true", help="write objects as they continue the prompt")
    return run(parser, "papers.kn.commands", arguments)


if __name__ == "__main__":
    sys.exit(main())
