"""The paper's command line: `python -m papers.mend --help`."""

import sys

from papers.mend import PAPER
from shared.learning.learned_command_line import run_learned

EXAMPLES = """examples:
  python -m papers.mend train --model results/models/world-small --edits edits.jsonl --anchors anchors.jsonl \\
      --layers 5 6 7 --out mend.safetensors
  python -m papers.mend edit --model results/models/world-small --editor mend.safetensors \\
      --input "Gun Maigrur works as a" --target pilot --also "The profession of Gun Maigrur is"

a line of edits.jsonl, and one of anchors.jsonl:
  {"input": "Gun Maigrur works as a", "target": "pilot", "equivalents": ["The profession of Gun Maigrur is"]}
  {"input": "Dral Vurar was born in", "target": "Nelim"}
"""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit status: 0, or 1 after an error that the message explains."""
    return run_learned(PAPER, EXAMPLES, arguments)


if __name__ == "__main__":
    sys.exit(main())
