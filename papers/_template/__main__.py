"""The paper's command line: `python -m papers._template --help`."""

import argparse
import sys
from pathlib import Path

from papers._template import PAPER
from papers._template.counts import count_by_relation, read_prompts
from shared import runtime
from shared.errors import EditingError


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit status: 0, or 1 after an error that the message explains."""
    parser = argparse.ArgumentParser(prog=f"python -m papers.{PAPER.key}", description=PAPER.citation())
    commands = parser.add_subparsers(dest="command", required=True)
    count = commands.add_parser("count", help="count the records of a file in CounterFact's format")
    count.add_argument("--cases", type=Path, required=True, help="a JSON file in CounterFact's format")
    count.add_argument("--min-records", type=int, default=1, help="rarer relations get no line (default: 1)")
    chosen = parser.parse_args(arguments)
    runtime.start_logging()
    try:
        counts = count_by_relation(read_prompts(chosen.cases), chosen.min_records)
    except EditingError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    for relation, found in counts.items():
        sys.stdout.write(f"{relation}\t{found.records} records\t{found.prompt_words:.1f} words per prompt\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
