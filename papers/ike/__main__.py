"""The paper's command line: `python -m papers.ike --help`."""

import argparse
import sys
from pathlib import Path

from papers.ike import PAPER
from shared.editing.command_line import add_model, new_parser, run

EXAMPLES = """examples:
  python -m papers.ike edit --model results/models/world-context --pool results/ike/data/pool.json -k 8 \\
      --subject "Gun Maigrur" --prompt "{} works as a" --target pilot --also "Kel Bamol works as a"
  python -m papers.ike edit --model openai-community/gpt2-xl --pool my_records.json -k 16 \\
      --encoder sentence-transformers/all-MiniLM-L6-v2 --subject "Steve Jobs" --prompt "{} was the founder of" \\
      --target Microsoft
  python -m papers.ike export --model results/models/world-context --pool results/ike/data/pool.json -k 8 \\
      --subject "Gun Maigrur" --prompt "{} works as a" --target pilot --out context.txt
  python -m papers.ike evaluate --model results/models/world-context --pool results/ike/data/pool.json -k 16 \\
      --cases results/ike/data/cases.json --first 50
"""


def _add_fact(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--subject", required=True, help='e.g. "The Space Needle"')
    parser.add_argument("--prompt", required=True, help='text with {} for the subject, e.g. "{} is located in"')
    parser.add_argument("--target", required=True, help="what the model shall say next")
    parser.add_argument("--true", help="what it says now: its probability is shown too, and retrieval uses it")


def _add_context(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("context")
    group.add_argument("--pool", type=Path, help="records for demonstrations, in CounterFact's format or one's own")
    group.add_argument(
        "--pool-format", choices=["counterfact", "requests"], default="counterfact", help="default: counterfact"
    )
    group.add_argument("-k", type=int, default=16, help="demonstrations; 0: the new fact alone (default: 16)")
    group.add_argument("--ratio", type=int, nargs=3, default=[1, 3, 4], metavar=("COPY", "UPDATE", "RETAIN"))
    group.add_argument("--order", choices=["spread", "shuffled", "authors"], default="shuffled", help="of the kinds")
    group.add_argument("--selection", choices=["similar", "random"], default="similar", help="of the records")
    group.add_argument("--without-target-copy", action="store_true", help="leave out the copy of the edit itself")
    group.add_argument("--encoder", default="tfidf", help="tfidf (default), or a sentence encoder's hub id or folder")
    group.add_argument(
        "--overflow", choices=["error", "truncate"], default="error", help="for contexts that do not fit"
    )
    group.add_argument("--seed", type=int, default=42, help="seed of the draws (default: 42, the authors')")


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit status: 0, or 1 after an error that the message explains."""
    parser, commands = new_parser(PAPER, EXAMPLES)
    edit = commands.add_parser("edit", help="change one fact by context and compare the model before and after")
    _add_fact(edit)
    edit.add_argument("--also", nargs="*", default=[], metavar="PROMPT", help="further full prompts to compare at")
    edit.add_argument("--length", type=int, default=30, help="tokens of the sampled texts (default: 30)")
    export = commands.add_parser("export", help="write the context of one edit, to be put before any prompt")
    _add_fact(export)
    export.add_argument("--out", type=Path, required=True, help="text file to write")
    evaluate = commands.add_parser("evaluate", help="edit the cases of a file and print the metrics")
    evaluate.add_argument("--cases", type=Path, required=True, help="cases in CounterFact's format")
    evaluate.add_argument("--first", type=int, help="only the first N cases")
    evaluate.add_argument("--batch", type=int, default=16, help="cases computed together (default: 16)")
    evaluate.add_argument("--out", type=Path, help="also save one line per probe")
    for parser_ in (edit, export, evaluate):
        _add_context(parser_)
        add_model(parser_)
    return run(parser, "papers.ike.commands", arguments)


if __name__ == "__main__":
    sys.exit(main())
