"""What the paper's command line does: trace one fact, or edit it at several layers and compare."""

import argparse
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from pydantic import ValidationError

from papers.localization.corruption import noise_scale
from papers.localization.editing import Grid, edit_facts, editor_maker
from papers.localization.effects import effects_by_layer
from papers.localization.facts import Fact
from papers.localization.modes import Mode, mode_named
from papers.localization.noised_answer import noised_continuations
from papers.localization.probes import ProbeSettings
from papers.localization.problems import problem_named
from papers.localization.scores import score_edit
from papers.localization.settings import CONFIG, editor_of, method_settings
from papers.localization.tracing import trace_cases
from shared.data.probes import rewrite_prompt
from shared.data.requests import Case, EditRequest
from shared.editing.command import load, moments_for, say
from shared.editing.edit_cases import import_methods
from shared.editing.editors import takes_of
from shared.editing.published import model_key
from shared.errors import ConfigError, DataError
from shared.model.models import LM
from shared.model.tokens import encode
from shared.records import atomic_path
from shared.report.drawing import heat_map
from shared.report.plots import new_figure, save_figure
from shared.settings import read_yaml

METHODS = ["papers.localization.tuning", "papers.rome.editor", "papers.memit.editor"]
MOST_LAYERS = 8
SHOWN = ["rewrite_score", "paraphrase_score", "neighborhood_score", "rewrite_before", "rewrite_after"]


def _case(options: argparse.Namespace) -> Case:
    try:
        request = EditRequest(
            case_id=0,
            subject=options.subject,
            prompt=options.prompt,
            target_new=getattr(options, "new", None) or options.true,
            target_true=options.true,
        )
        return Case(
            request=request,
            paraphrase_prompts=tuple(getattr(options, "paraphrase", ())),
            neighborhood_prompts=tuple(getattr(options, "neighbor", ())),
        )
    except ValidationError as error:
        faults = "; ".join(f"{fault['loc'][0]}: {fault['msg']}" for fault in error.errors())
        raise DataError(f"the fact cannot be used: {faults.replace('Value error, ', '')}") from error


def _config(options: argparse.Namespace) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the paper's settings, and those of the model as far as it is known."""
    config = read_yaml(CONFIG)
    return config, config["models"].get(model_key(options.model), {})


def _noise(options: argparse.Namespace, lm: LM, known: dict[str, Any]) -> float:
    return noise_scale(lm, options.noise or known.get("noise", "s3"), [options.subject, *options.more_subjects])


def _windows(options: argparse.Namespace, lm: LM, known: dict[str, Any]) -> list[int]:
    windows = options.windows or sorted(set(known.get("tracing_windows", [min(5, lm.arch.n_layers)])))
    if min(windows) < 1:
        raise ConfigError(f"--windows {windows}: a window has at least one layer")
    return windows


def trace(options: argparse.Namespace) -> None:
    """Trace one fact; print the largest restored fraction by layer, and save heat maps and their numbers."""
    lm, (_, known) = load(options), _config(options)
    windows = _windows(options, lm, known)
    [found] = trace_cases(lm, [_case(options)], windows, _noise(options, lm, known), samples=options.samples)
    say(f"p({options.true!r}) = {found['clean']:.3f} clean, {found['corrupted']:.3f} with the subject corrupted")
    effects = effects_by_layer([found], mode_named("as_paper"))
    table = effects.pivot(index="layer", columns="window", values="max_fraction_restored")[list(map(str, windows))]
    say("largest fraction restored around each layer, by number of restored layers:")
    say(table.round(3).to_string())
    _draw(options, found, windows)
    say(f"heat maps saved to {options.out}.png and .svg, numbers to {options.out}.csv")


def _draw(options: argparse.Namespace, found: dict[str, Any], windows: Sequence[int]) -> None:
    first, stop = found["subject_range"]
    rows = [token.strip() + ("*" if place < stop else "") for place, token in enumerate(found["tokens"][first:], first)]
    tables = [np.array(found["restored"][str(window)]) for window in windows]
    figure, axes = new_figure(1, len(windows), height=0.9 + 0.17 * len(rows), sharey=True)
    high = max(found["corrupted"] + 1e-9, *(table.max() for table in tables))
    unit = f"p({options.true.strip()})"
    for panel, window, table in zip(axes[0], windows, tables, strict=True):
        title = f"window of {window}"
        heat_map(panel, table, "mlp", rows, low=found["corrupted"], high=high, unit=unit, title=title)
    frame = pd.DataFrame(
        [
            {"window": window, "position": place + first, "token": rows[place], "layer": layer, "probability": value}
            for window, table in zip(windows, tables, strict=True)
            for place, line in enumerate(table)
            for layer, value in enumerate(line)
        ]
    )
    options.out.parent.mkdir(parents=True, exist_ok=True)
    save_figure(
        figure, frame, **{kind: options.out.with_name(f"{options.out.name}.{kind}") for kind in ("svg", "png", "csv")}
    )


def edit(options: argparse.Namespace) -> None:
    """Edit one fact at several layers, each on the unedited model, and print its scores beside its trace."""
    problem, mode, case = problem_named(options.problem), mode_named(options.mode), _case(options)
    if problem.wanted == "new" and not options.new:
        raise ConfigError(f"--problem {problem.key} needs --new, the object that the model shall say instead")
    lm, (config, known) = load(options), _config(options)
    noise, window = _noise(options, lm, known), _windows(options, lm, known)[0]
    [traced] = trace_cases(lm, [case], [window], noise, samples=options.samples)
    fact = _fact(lm, case, traced["clean"], noise)
    layers = options.layers or known.get("layers") or _spread(lm.arch.n_layers)
    rows = list(edit_facts(lm, [case], {0: fact}, _grid(options, lm, config, layers, noise), _asked(mode, noise)))
    scores = pd.DataFrame([score_edit(row, problem, mode) for row in rows]).set_index("layer")[SHOWN]
    effects = effects_by_layer([traced], mode).set_index("layer")["max_fraction_restored"]
    table = scores.join(effects.rename("fraction_restored")).dropna(axis="columns", how="all")
    say(f"{problem.title} by {options.editor} on {options.model}: p({rows[0]['target']!r}) of each edit")
    say(f"fraction_restored: tracing with windows of {window} layers around the edited one")
    say(table.round(4).to_string())
    if options.out:
        with atomic_path(options.out) as part:
            table.to_csv(part, float_format="%.9g", lineterminator="\n")
        say(f"saved to {options.out}")


def _fact(lm: LM, case: Case, probability: float, noise: float) -> Fact:
    [answer] = noised_continuations(lm, [encode(lm, rewrite_prompt(case))], [case.request.subject], noise)
    return Fact(0, case.request.subject, "", True, probability, answer, [])


def _spread(n_layers: int) -> list[int]:
    """Return at most eight layers from the first to the last."""
    return sorted({round(place) for place in np.linspace(0, n_layers - 1, min(MOST_LAYERS, n_layers))})


def _asked(mode: Mode, noise: float) -> ProbeSettings:
    return ProbeSettings(mode, noise, essence_texts=0, partial=True)


def _grid(options: argparse.Namespace, lm: LM, config: dict[str, Any], layers: Sequence[int], noise: float) -> Grid:
    key, mode, problem = model_key(options.model), mode_named(options.mode), problem_named(options.problem)
    frame = editor_of(config, key, options.editor)
    import_methods(METHODS, [frame["method"]])
    settings = method_settings(config | {"mode": options.mode}, key, options.editor, options.problem)
    if "contexts" in takes_of(frame["method"]):
        settings["context_seed"] = options.seed
    moments = moments_for(options, lm, range(lm.arch.n_layers)) if "moments" in takes_of(frame["method"]) else None
    maker = editor_maker(frame["method"], settings, problem, mode, noise, moments=moments)
    return Grid(options.editor, problem, layers, frame["window"], maker)
