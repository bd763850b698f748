"""Sample the context templates of a model once, so that every shard and every editor uses the same ones.

    python -m shared.fit.sample_contexts --model results/models/world-small --lengths '[[5, 10], [10, 10]]' \\
        --paper rome --out contexts.json
    python -m shared.fit.sample_contexts --model results/models/world-small --lengths '[[10, 1]]' \\
        --starts The Therefore Because I You --paper memit --out contexts.json
"""

import argparse
import json
import logging
from collections.abc import Sequence
from pathlib import Path

from shared import runtime
from shared.errors import reported
from shared.fit.contexts import END_OF_TEXT, sample_contexts
from shared.model.models import load_lm
from shared.records import write_json

log = logging.getLogger(__name__)


@reported(log)
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m shared.fit.sample_contexts", description=__doc__.split("\n")[0])
    parser.add_argument("--model", required=True, help="folder or hub id of the model")
    parser.add_argument("--lengths", type=json.loads, required=True, help="JSON list of [total tokens, how many]")
    parser.add_argument("--starts", nargs="+", default=[END_OF_TEXT], help="first words (default: end of text)")
    parser.add_argument("--paper", required=True, help="folder of papers/ that they are for; enters the seeds")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, required=True, help="JSON list of templates to write")
    options = parser.parse_args(arguments)
    device = runtime.start(options.threads, options.device)
    lm = load_lm(options.model, device=device)
    templates = sample_contexts(lm, options.starts, options.lengths, options.seed, paper=options.paper)
    write_json(options.out, templates)


if __name__ == "__main__":
    main()
