"""Every method through one door: `python -m shared --help`."""

import argparse
import sys
from pathlib import Path

from shared.editing.command_line import add_model, run

EXAMPLES = """examples:
  python -m shared methods
  python -m shared edit --method rome --model results/models/world-small --subject "Gun Maigrur" \\
      --prompt "{} works as a" --target pilot
  python -m shared edit --method memit --model results/models/world-large --facts my_facts.jsonl --save-adapter adapter
  python -m shared edit --method ike --model gpt2-xl --facts my_facts.jsonl --pool counterfact.json --set k=8
  python -m shared doctor --model results/models/world-small
"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m shared",
        description="Edit what a language model knows, by any of the methods of this repository.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("methods", help="list the methods and what each needs")
    edit = commands.add_parser("edit", help="edit facts and compare the model before and after")
    edit.add_argument("--method", required=True, help="a name that `methods` lists")
    one = edit.add_argument_group("one fact")
    one.add_argument("--subject", help='e.g. "The Space Needle"')
    one.add_argument("--prompt", help='text with {} for the subject, e.g. "{} is located in"')
    one.add_argument("--target", help="what the model shall say next")
    one.add_argument("--true", help="what it says now, where known")
    many = edit.add_argument_group("or several facts, edited together")
    many.add_argument("--facts", type=Path, help="JSON lines with subject, prompt, target_new, target_true, ...")
    method = edit.add_argument_group("what the method is given")
    method.add_argument(
        "--set", nargs="*", default=[], metavar="NAME=VALUE", help="settings, such as layers=[5] lr=0.1"
    )
    method.add_argument("--moments", type=Path, help="second moments of keys, made by `python -m shared.fit.moments`")
    method.add_argument("--corpus", type=Path, help="collect the moments now from this text file, a document per line")
    method.add_argument("--documents", type=int, help="documents read from --corpus (default: all)")
    method.add_argument("--pool", type=Path, help="cases in CounterFact's format that examples may be taken from")
    saved = edit.add_argument_group("what is kept")
    saved.add_argument("--save", type=Path, metavar="FOLDER", help="save the edit (`ModelEditor.load` reads it)")
    saved.add_argument("--save-adapter", type=Path, metavar="FOLDER", help="save it as a LoRA adapter for peft")
    saved.add_argument("--save-model", type=Path, metavar="FOLDER", help="save the whole edited model")
    add_model(edit)
    doctor = commands.add_parser("doctor", help="show what was found in a model, and test the engine on it")
    kinds = ["decoder", "masked", "seq2seq", "classifier"]
    doctor.add_argument("--kind", choices=kinds, default="decoder", help="what the model is (default: decoder)")
    add_model(doctor)
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit status: 0, or 1 after an error that the message explains."""
    return run(_parser(), "shared.editing.door", arguments)


if __name__ == "__main__":
    sys.exit(main())
