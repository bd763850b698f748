"""The paper's command line: `python -m papers.rome --help`."""

import argparse
import sys
from pathlib import Path

from papers.rome import PAPER
from shared.errors import EditingError

EXAMPLES = """examples:
  python -m papers.rome edit --model results/models/world-small --subject "Gun Maigrur" --prompt "{} works as a" \\
      --target pilot
  python -m papers.rome edit --model openai-community/gpt2-xl --subject "Steve Jobs" --prompt "{} was the founder of" \\
      --target Microsoft --corpus wikipedia.txt --save-adapter steve-jobs
  python -m papers.rome trace --model openai-community/gpt2-xl --subject "The Space Needle" \\
      --prompt "The Space Needle is in the city of" --out space-needle
  python -m papers.rome evaluate --model results/models/world-small --cases my_cases.json --first 100
"""


def _add_model(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("model")
    group.add_argument("--model", required=True, help="folder with config.json and *.safetensors, or a hub id")
    group.add_argument("--device", default="cpu", help="cpu or cuda (default: cpu)")
    group.add_argument("--threads", type=int, default=1, help="CPU threads (default: 1)")


def _add_editor(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("method")
    group.add_argument(
        "--editor",
        choices=["rome", "ft", "ft_l", "attn_edit"],
        default="rome",
        help="rome (default), ft: fine-tuning, ft_l: norm-constrained fine-tuning, attn_edit: the same on attention",
    )
    group.add_argument("--layer", type=int, help="edited layer, from 0 (default: the published one of a known model)")
    group.add_argument("--moments", type=Path, help="second moments of the keys, made by `python -m shared.moments`")
    group.add_argument("--corpus", type=Path, help="collect the moments now from this text file, a document per line")
    group.add_argument("--documents", type=int, help="documents read from --corpus (default: all)")
    group.add_argument("--without-moments", action="store_true", help="leave the moments out (u = k)")
    group.add_argument("--seed", type=int, default=0, help="seed of sampled prefixes and texts (default: 0)")


def _add_edit(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("edit", help="change one fact and compare the model before and after")
    parser.add_argument("--subject", required=True, help='e.g. "The Space Needle"')
    parser.add_argument("--prompt", required=True, help='text with {} for the subject, e.g. "{} is located in"')
    parser.add_argument("--target", required=True, help="what the model shall say next")
    parser.add_argument("--true", help="what it says now: its probability is shown too")
    parser.add_argument("--also", nargs="*", default=[], metavar="PROMPT", help="further full prompts to compare at")
    parser.add_argument("--length", type=int, default=30, help="tokens of the sampled texts (default: 30)")
    parser.add_argument("--save-edit", type=Path, metavar="FILE", help="save the weight change (safetensors)")
    parser.add_argument("--save-adapter", type=Path, metavar="FOLDER", help="save it as a LoRA adapter for peft")
    parser.add_argument("--save-model", type=Path, metavar="FOLDER", help="save the whole edited model")
    _add_model(parser)
    _add_editor(parser)


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
    _add_model(parser)


def _add_evaluate(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("evaluate", help="edit every case of a file on its own and print the metrics")
    parser.add_argument("--cases", type=Path, required=True, help="CounterFact or zsRE JSON, or your own requests")
    parser.add_argument(
        "--dataset",
        choices=["counterfact", "zsre", "requests"],
        default="counterfact",
        help="format of the file; `requests`: JSON lines with subject, prompt, target_new, ... (default: counterfact)",
    )
    parser.add_argument("--first", type=int, help="only the first N cases")
    parser.add_argument(
        "--batch", type=int, default=16, help="cases edited together; memory grows with it (default: 16)"
    )
    parser.add_argument("--out", type=Path, help="also save one line per probe")
    _add_model(parser)
    _add_editor(parser)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"python -m papers.{PAPER.key}",
        description=PAPER.citation(),
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for add in (_add_edit, _add_trace, _add_evaluate):
        add(commands)
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit status: 0, or 1 after an error that the message explains."""
    options = _parser().parse_args(arguments)
    # The models' libraries take seconds to import; --help need not wait for them.
    from papers.rome import commands

    try:
        getattr(commands, options.command)(options)
    except EditingError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
