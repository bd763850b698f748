"""What the commands do that papers with editors share: edit one fact, evaluate a file of cases.

A paper's `commands.py` says how its editors are built and hands that to `edit` and `evaluate` here; their options are
those of `shared.editing.command_line`.
"""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence

import pandas as pd
from pydantic import ValidationError
from tqdm import tqdm

from shared import runtime
from shared.data.requests import EditRequest
from shared.editing.adapters import save_edit, save_lora
from shared.editing.edit_cases import DATASETS, evaluate_variants
from shared.editing.editors import Editor
from shared.editing.evaluate import EvaluationOptions
from shared.editing.published import find_moments
from shared.editing.single_fact import Comparison, compare
from shared.edits.deltas import Edit, applied
from shared.errors import ConfigError, DataError
from shared.fit.moments import collect
from shared.fit.second_moment import SecondMoments
from shared.measures.measure import DEFINITIONS, measure
from shared.measures.metrics import summarise
from shared.model.models import LM, load_lm
from shared.records import write_jsonl

OPTION_OF = {"target_new": "target", "target_true": "true"}
Build = Callable[[argparse.Namespace, LM], Editor]


def say(text: str = "") -> None:
    """Write a line for the user."""
    sys.stdout.write(text + "\n")


def load(options: argparse.Namespace) -> LM:
    """Return the model that the options of `add_model` name."""
    device = runtime.start(options.threads, options.device)
    return load_lm(options.model, device=device)


def moments_for(options: argparse.Namespace, lm: LM, layers: Sequence[int]) -> SecondMoments | None:
    """Return the second moments that the options ask for: a file, a corpus to collect from, or none.

    A paper whose editors can do without them has an option `--without-moments`.

    Raises:
        ConfigError: no option says where they come from, and the workflow has made none for this model.
    """
    if getattr(options, "without_moments", False):
        return None
    path = options.moments or (None if options.corpus else find_moments(options.model))
    if path is not None:
        return SecondMoments.load(path)
    if options.corpus is None:
        ways = [
            "--moments FILE (made by `python -m shared.fit.moments collect`)",
            "--corpus FILE to collect them now from a text file with one document per line",
        ]
        if "without_moments" in options:
            ways.append("--without-moments to leave them out (the edit will disturb more)")
        raise ConfigError(
            f"{options.editor} needs the second moments of the edited layers' keys: give {', or '.join(ways)}"
        )
    return collect(lm, options.corpus, layers, max_documents=options.documents)


def show(comparison: Comparison) -> None:
    """Print what the model says before and after an edit."""
    say(f"\n{comparison.prompt}")
    for target, before in comparison.before.items():
        say(f"  p({target!r})".ljust(30) + f"{before:9.2e} -> {comparison.after[target]:9.2e}")
    say(f"  before: {comparison.text_before!r}")
    say(f"  after:  {comparison.text_after!r}")


def request_of(options: argparse.Namespace) -> EditRequest:
    """Return the fact that the options `--subject`, `--prompt`, `--target` and `--true` describe.

    Raises:
        DataError: it cannot be edited; the message names the option.
    """
    try:
        return EditRequest(
            case_id=0,
            subject=options.subject,
            prompt=options.prompt,
            target_new=options.target,
            target_true=options.true,
        )
    except ValidationError as error:
        faults = "; ".join(
            f"--{OPTION_OF.get(fault['loc'][0], fault['loc'][0])}: {fault['msg']}" for fault in error.errors()
        )
        raise DataError(f"the fact cannot be edited: {faults.replace('Value error, ', '')}") from error


def edit(options: argparse.Namespace, build: Build, *, paper: str) -> None:
    """Edit one fact; show the model's answers before and after; save what was asked for.

    Args:
        build: makes the editor that the options describe.
        paper: enters the seeds of the sampled texts.
    """
    request = request_of(options)
    lm = load(options)
    made = build(options, lm).edit(lm, [request])
    say(f"{options.editor} on {options.model}: {', '.join(delta.module for delta in made.deltas) or made.kind}")
    say("  " + ", ".join(f"{name} {value:.4g}" for name, value in made.info.items() if not isinstance(value, str)))
    for comparison in compare(lm, made, request, options.also, length=options.length, seed=options.seed, paper=paper):
        show(comparison)
    save(options, lm, made)


def save(options: argparse.Namespace, lm: LM, made: Edit) -> None:
    """Save an edit in the forms that `--save-edit`, `--save-adapter` and `--save-model` ask for."""
    if options.save_edit:
        save_edit(made, options.save_edit)
        say(f"\nedit saved to {options.save_edit}")
    if options.save_adapter:
        save_lora(lm, made, options.save_adapter)
        say(f"\nLoRA adapter saved to {options.save_adapter} (load it with peft on the unedited model)")
    if options.save_model:
        with applied(lm, made):
            lm.model.save_pretrained(options.save_model)
        lm.tokenizer.save_pretrained(options.save_model)
        say(f"\nedited model saved to {options.save_model}")


def _as_text(summary: pd.DataFrame) -> str:
    """Return metrics down and the unedited and edited model across."""
    cells = [f"{100 * row.mean:6.1f} [{100 * row.low:6.1f}, {100 * row.high:6.1f}]" for row in summary.itertuples()]
    shown = summary.assign(cell=cells, phase=summary["phase"].map({"pre": "unedited", "post": "edited"}))
    table = shown.pivot(index="metric", columns="phase", values="cell")
    return table.loc[summary["metric"].unique(), ["unedited", "edited"]].to_string(header=True)


def evaluate(options: argparse.Namespace, build: Build, definitions: Mapping[str, str] = DEFINITIONS) -> None:
    """Edit the cases of a file, ask about each before and after, and print the metrics.

    Args:
        build: makes the editor that the options describe.
        definitions: kind of probes → name of the paper's metric set.
    """
    read, probes = DATASETS[options.dataset]
    cases = read(options.cases)[: options.first]
    lm = load(options)
    editor = build(options, lm)
    asked = EvaluationOptions(protocol=probes, edit_batch=options.batch, seed=options.seed)
    rows = evaluate_variants(lm, {options.editor: editor}, cases, asked, protocol=options.protocol)
    rows = list(tqdm(rows, desc="probes", unit="row", disable=not sys.stderr.isatty()))
    if options.out:
        write_jsonl(options.out, (row.to_json() for row in rows))
    definition = definitions[probes]
    summary = summarise(measure(rows, definition), definition)
    say(f"{len(cases)} cases of {options.cases}, {options.editor} on {options.model}; percent with 95 % intervals")
    say(_as_text(summary))
