"""What the paper's command line does: write many facts at once, evaluate a file of cases."""

import argparse
from pathlib import Path

import papers.memit.baselines
import papers.memit.editor  # noqa: F401 (both register their methods)
from papers.memit import PAPER
from papers.memit.editor import CONTEXT_STARTS
from shared.data.requests import read_requests
from shared.editing import command
from shared.editing.command import load, moments_for, save, say, show
from shared.editing.editors import Editor, make_editor
from shared.editing.published import editor_settings
from shared.editing.single_fact import compare
from shared.errors import ConfigError
from shared.fit.contexts import sample_contexts
from shared.model.models import LM

CONFIG = Path(__file__).with_name("config.yaml")
HINT = "the layers where tracing finds that severed MLPs matter (`python -m papers.rome trace` shows them)"


def build_editor(options: argparse.Namespace, lm: LM) -> Editor:
    """Return the editor that the options describe, with its settings for this model.

    Raises:
        ConfigError: no layers or no weight of the second moment are known for the model, or its moments are missing.
    """
    settings = editor_settings(CONFIG, options.model, options.editor, options.layers, hint=HINT)
    if options.editor == "memit":
        if options.weight is not None:
            settings["update_weight"] = options.weight
        if "update_weight" not in settings:
            raise ConfigError(f"no weight of the second moment is known for {options.model!r}: give --weight 15000")
        settings["repeats"] = "joint" if options.joint else settings["repeats"]
        settings["conflicts"] = "allow" if options.allow_conflicts else "refuse"
        settings["moments"] = moments_for(options, lm, settings["layers"])
        settings["contexts"] = sample_contexts(lm, CONTEXT_STARTS, [(10, 1)], options.seed, paper=PAPER.key)
    return make_editor(options.editor, **settings)


def edit(options: argparse.Namespace) -> None:
    """Write the requests of a file at once; show some answers before and after; save what was asked for."""
    requests = [case.request for case in read_requests(options.requests)]
    lm = load(options)
    made = build_editor(options, lm).edit(lm, requests)
    say(f"{options.editor} on {options.model}: {len(requests)} facts in {', '.join(d.module for d in made.deltas)}")
    say("  " + ", ".join(f"{name} {value:.4g}" for name, value in made.info.items() if not isinstance(value, str)))
    for request in requests[: options.show]:
        for comparison in compare(lm, made, request, length=options.length, seed=options.seed, paper=PAPER.key):
            show(comparison)
    save(options, lm, made)


def evaluate(options: argparse.Namespace) -> None:
    """Edit the cases of a file, ask the paper's questions before and after, and print the metrics."""
    command.evaluate(options, build_editor, {"counterfact": "memit", "zsre": "zsre_rome"})
