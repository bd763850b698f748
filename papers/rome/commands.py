"""What the paper's command line does: edit one fact, trace one fact, evaluate a file of cases."""

import argparse
from pathlib import Path
from typing import Any

import pandas as pd

import papers.rome.baselines
import papers.rome.editor  # noqa: F401 (both register their methods)
from papers.rome import PAPER
from papers.rome.context import context_templates
from shared.editing import command
from shared.editing.command import load, moments_for, say
from shared.editing.editors import Editor, make_editor
from shared.editing.published import editor_settings, model_key
from shared.model.models import LM
from shared.report.drawing import KINDS, heat_map
from shared.report.plots import new_figure, save_figure
from shared.settings import read_yaml
from shared.traces.noise import make_noise
from shared.traces.trace_runs import Corruption, make_fact
from shared.traces.tracing import STATE, FactTrace, Restoration, trace_facts

CONFIG = Path(__file__).with_name("config.yaml")
HINT = "for instance where `python -m papers.rome trace` shows the MLP's effect at the last subject token"


def build_editor(options: argparse.Namespace, lm: LM) -> Editor:
    """Return the editor that the options describe, with its settings for this model."""
    settings = editor_settings(CONFIG, options.model, options.editor, options.layers, hint=HINT)
    if options.editor == "rome":
        settings["mom2_adjustment"] = not options.without_moments
        settings["moments"] = moments_for(options, lm, settings["layers"])
        settings["contexts"] = context_templates(lm, seed=options.seed)
    return make_editor(options.editor, **settings)


def edit(options: argparse.Namespace) -> None:
    """Edit one fact; show the model's answers before and after; save what was asked for."""
    command.edit(options, build_editor, paper=PAPER.key)


def evaluate(options: argparse.Namespace) -> None:
    """Edit the cases of a file, ask the paper's questions before and after, and print the metrics."""
    command.evaluate(options, build_editor)


def tracing_settings(model: str) -> dict[str, Any]:
    """Return window and noise for a model; a tenth of 48 layers and 3 sigma, as for GPT-2 XL, where it is unknown."""
    return read_yaml(CONFIG)["models"].get(model_key(model), {}).get("tracing", {"window": 10, "noise": "s3"})


def _trace_frame(lm: LM, found: FactTrace, restorations: dict[str, Restoration]) -> pd.DataFrame:
    tokens = [lm.tokenizer.decode([token]) for token in found.fact.ids]
    return pd.DataFrame(
        [
            {"restored": kind, "position": position, "token": token, "layer": layer, "probability": float(value)}
            for kind, restoration in restorations.items()
            for position, token in enumerate(tokens)
            for layer, value in enumerate(found.scores[restoration][position])
        ]
    )


def trace(options: argparse.Namespace) -> None:
    """Trace one fact and save its three heat-maps and their numbers."""
    lm = load(options)
    defaults = tracing_settings(options.model)
    window = options.window or min(defaults["window"], lm.arch.n_layers)
    noise = make_noise(lm, options.noise or defaults["noise"], [options.subject, *options.more_subjects])
    fact = make_fact(lm, options.prompt, options.subject, target=options.target)
    restorations = {kind: STATE if kind == "state" else Restoration(kind, window) for kind in KINDS}
    found = trace_facts(lm, [fact], list(restorations.values()), Corruption(noise, options.samples))[0]
    answer = lm.tokenizer.decode(found.answer)
    say(f"answer {answer!r}: p = {found.high:.3f} clean, {found.low:.3f} with the subject corrupted")
    frame = _trace_frame(lm, found, restorations)
    for kind, cells in frame.groupby("restored", sort=False):
        best = cells.loc[cells["probability"].idxmax()]
        say(f"  best {kind}: p = {best.probability:.3f} restoring {best.token!r} at layer {best.layer}")
    _draw(lm, found, restorations, answer, options.out, frame)
    say(f"heat-maps saved to {options.out}.png and .svg, numbers to {options.out}.csv")


def _draw(
    lm: LM,
    found: FactTrace,
    restorations: dict[str, Restoration],
    answer: str,
    out: Path,
    frame: pd.DataFrame,
) -> None:
    subject = range(found.fact.start, found.fact.stop)
    labels = [
        lm.tokenizer.decode([token]) + ("*" if position in subject else "")
        for position, token in enumerate(found.fact.ids)
    ]
    figure, axes = new_figure(1, 3, height=0.6 + 0.17 * len(labels))
    high = max(found.low + 1e-6, float(frame["probability"].max()))
    for place, (name, restoration) in zip(axes[0], restorations.items(), strict=True):
        title = name if restoration.window == 1 else f"{name}, window {restoration.window}"
        heat_map(
            place,
            found.scores[restoration].numpy(),
            KINDS[name][0],
            labels,
            low=found.low,
            high=high,
            unit=f"p({answer.strip()})",
            title=title,
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    save_figure(figure, frame, **{kind: out.with_name(f"{out.name}.{kind}") for kind in ("svg", "png", "csv")})
