"""The paper's command line: `python -m papers.survey --help`."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from papers.survey import PAPER
from papers.survey.contract import METHODS
from shared import runtime
from shared.editing.command import say
from shared.errors import EditingError

EXAMPLES = """examples:
  python -m papers.survey compare --model results/models/world-small --method rome --method ft_l \\
      --moments results/moments/world-small.safetensors --records results/survey/records/counterfact.jsonl --first 20
  python -m papers.survey compare --model results/models/world-small --method mend \\
      --set mend '{"file": "mend.safetensors"}' --records my_cases.jsonl

a line of my_cases.jsonl (papers/survey/records.py):
  {"case_id": 1, "subject": "Gun Maigrur", "prompt": "{} works as a", "question": "What does Gun Maigrur do?",
   "target_new": "pilot", "target_true": "poet", "paraphrase_prompts": ["The job of Gun Maigrur is"],
   "probes": {"one_hop": [{"prompt": "Gun Maigrur travels by", "question": "How does he travel?", "answer": "plane"}]}}
"""


def compare(options: argparse.Namespace) -> None:
    """Edit cases one at a time by several methods and print every metric of the survey and of free answers."""
    # Only here: the command line's help needs neither torch nor a model.
    from papers.survey.edit_cases import Job, Material, run_form
    from papers.survey.measure import metrics_of
    from papers.survey.records import cases_of, read_survey
    from shared.model.models import load_lm

    device = runtime.start(options.threads, options.device)
    cases = cases_of(read_survey(options.records)[: options.first])
    pool = cases_of(read_survey(options.pool)) if options.pool else []
    given = {name: json.loads(settings) for name, settings in options.set}
    methods = {name: given.get(name, {}) for name in ["none", *options.method]}
    lm = load_lm(options.model, device=device)
    found = run_form(Job("single", len(cases)), lm, "own", methods, Material(cases, pool), options.moments)
    metrics = metrics_of(row for part in found for row in part.rows)
    metrics["measure"] = metrics["scorer"] + " " + metrics["metric"]
    table = metrics.pivot(index="measure", columns="editor", values="mean")
    say(table.loc[metrics["measure"].unique(), list(methods)].to_string(float_format="{:.3g}".format))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"python -m papers.{PAPER.key}",
        description=PAPER.citation(),
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("compare", help="edit your cases by several methods and print every metric")
    one.add_argument("--model", required=True, help="folder or hub id of a decoder")
    one.add_argument("--method", action="append", required=True, choices=METHODS[1:], help="may be given several times")
    one.add_argument("--records", type=Path, required=True, help="cases, JSON lines (papers/survey/records.py)")
    one.add_argument("--first", type=int, help="only the first N cases")
    one.add_argument("--pool", type=Path, help="cases that methods may take examples from")
    one.add_argument("--moments", type=Path, help="second moments of the model's keys, for ROME and MEMIT")
    one.add_argument(
        "--set", nargs=2, action="append", default=[], metavar=("METHOD", "JSON"), help="a method's settings"
    )
    one.add_argument("--threads", type=int, default=1)
    one.add_argument("--device", default="cpu")
    one.set_defaults(run=compare)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status: 0, or 1 after an error that the message explains."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except EditingError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
