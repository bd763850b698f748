"""What the paper's command line does: edit one fact, trace one fact, evaluate a file of cases."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from pydantic import ValidationError
from tqdm import tqdm

import papers.rome.baselines
import papers.rome.editor  # noqa: F401 (both register their methods)
from papers.rome.context import context_templates
from papers.rome.evaluate import DATASETS, evaluate_variants
from papers.rome.items.drawing import KINDS, heat_map
from papers.rome.measure import DEFINITIONS, measure
from papers.rome.settings import editor_settings, find_moments, tracing_settings
from papers.rome.single import Comparison, compare
from shared import runtime
from shared.adapters import save_edit, save_lora
from shared.deltas import applied
from shared.editors import Editor, make_editor
from shared.errors import ConfigError, DataError
from shared.evaluate import EvaluationOptions
from shared.metrics import summarise
from shared.models import LM, load_lm
from shared.moments import collect
from shared.noise import make_noise
from shared.plots import new_figure, save_figure
from shared.records import write_jsonl
from shared.requests import EditRequest
from shared.second_moment import SecondMoments
from shared.trace_runs import Corruption, make_fact
from shared.tracing import STATE, FactTrace, Restoration, trace_facts

OPTION_OF = {"target_new": "target", "target_true": "true"}


def _say(text: str = "") -> None:
    sys.stdout.write(text + "\n")


def _load(options: argparse.Namespace) -> LM:
    device = runtime.start(options.threads, options.device)
    return load_lm(options.model, device=device)


def _moments(options: argparse.Namespace, lm: LM, layers: Sequence[int]) -> SecondMoments | None:
    """Return the second moments that the options ask for: a file, a corpus to collect from, or none."""
    if options.without_moments:
        return None
    path = options.moments or (None if options.corpus else find_moments(options.model))
    if path is not None:
        return SecondMoments.load(path)
    if options.corpus is None:
        raise ConfigError(
            "ROME needs the second moments of the edited layer's keys: give --moments FILE (made by "
            "`python -m shared.moments collect`), --corpus FILE to collect them now from a text file with one document "
            "per line, or --without-moments to leave them out (the edit will disturb more)"
        )
    return collect(lm, options.corpus, layers, max_documents=options.documents)


def build_editor(options: argparse.Namespace, lm: LM) -> Editor:
    """Return the editor that the options describe, with its settings for this model."""
    settings = editor_settings(options.model, options.editor, options.layer)
    if options.editor == "rome":
        settings["mom2_adjustment"] = not options.without_moments
        settings["moments"] = _moments(options, lm, settings["layers"])
        settings["contexts"] = context_templates(lm, seed=options.seed)
    return make_editor(options.editor, **settings)


def _show(comparison: Comparison) -> None:
    _say(f"\n{comparison.prompt}")
    for target, before in comparison.before.items():
        _say(f"  p({target!r})".ljust(30) + f"{before:9.2e} -> {comparison.after[target]:9.2e}")
    _say(f"  before: {comparison.text_before!r}")
    _say(f"  after:  {comparison.text_after!r}")


def _request(options: argparse.Namespace) -> EditRequest:
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


def edit(options: argparse.Namespace) -> None:
    """Edit one fact; show the model's answers before and after; save what was asked for."""
    request = _request(options)
    lm = _load(options)
    made = build_editor(options, lm).edit(lm, [request])
    _say(f"{options.editor} on {options.model}: {', '.join(delta.module for delta in made.deltas)}")
    _say("  " + ", ".join(f"{name} {value:.4g}" for name, value in made.info.items() if not isinstance(value, str)))
    for comparison in compare(lm, made, request, options.also, length=options.length, seed=options.seed):
        _show(comparison)
    if options.save_edit:
        save_edit(made, options.save_edit)
        _say(f"\nedit saved to {options.save_edit}")
    if options.save_adapter:
        save_lora(lm, made, options.save_adapter)
        _say(f"\nLoRA adapter saved to {options.save_adapter} (load it with peft on the unedited model)")
    if options.save_model:
        with applied(lm, made):
            lm.model.save_pretrained(options.save_model)
        lm.tokenizer.save_pretrained(options.save_model)
        _say(f"\nedited model saved to {options.save_model}")


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
    lm = _load(options)
    defaults = tracing_settings(options.model)
    window = options.window or min(defaults["window"], lm.arch.n_layers)
    noise = make_noise(lm, options.noise or defaults["noise"], [options.subject, *options.more_subjects])
    fact = make_fact(lm, options.prompt, options.subject, target=options.target)
    restorations = {kind: STATE if kind == "state" else Restoration(kind, window) for kind in KINDS}
    found = trace_facts(lm, [fact], list(restorations.values()), Corruption(noise, options.samples))[0]
    answer = lm.tokenizer.decode(found.answer)
    _say(f"answer {answer!r}: p = {found.high:.3f} clean, {found.low:.3f} with the subject corrupted")
    frame = _trace_frame(lm, found, restorations)
    for kind, cells in frame.groupby("restored", sort=False):
        best = cells.loc[cells["probability"].idxmax()]
        _say(f"  best {kind}: p = {best.probability:.3f} restoring {best.token!r} at layer {best.layer}")
    _draw(lm, found, restorations, answer, options.out, frame)
    _say(f"heat-maps saved to {options.out}.png and .svg, numbers to {options.out}.csv")


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


def _as_text(summary: pd.DataFrame) -> str:
    """Return metrics down and the unedited and edited model across."""
    cells = [f"{100 * row.mean:6.1f} [{100 * row.low:6.1f}, {100 * row.high:6.1f}]" for row in summary.itertuples()]
    shown = summary.assign(cell=cells, phase=summary["phase"].map({"pre": "unedited", "post": "edited"}))
    table = shown.pivot(index="metric", columns="phase", values="cell")
    return table.loc[summary["metric"].unique(), ["unedited", "edited"]].to_string(header=True)


def evaluate(options: argparse.Namespace) -> None:
    """Edit each case of a file on its own, ask the paper's questions before and after, and print the metrics."""
    read, protocol = DATASETS[options.dataset]
    cases = read(options.cases)[: options.first]
    lm = _load(options)
    editor = build_editor(options, lm)
    asked = EvaluationOptions(protocol=protocol, edit_batch=options.batch, seed=options.seed)
    rows = evaluate_variants(lm, {options.editor: editor}, cases, asked)
    rows = list(tqdm(rows, desc="probes", unit="row", disable=not sys.stderr.isatty()))
    if options.out:
        write_jsonl(options.out, (row.to_json() for row in rows))
    definition = DEFINITIONS[protocol]
    summary = summarise(measure(rows, protocol), definition)
    _say(f"{len(cases)} cases of {options.cases}, {options.editor} on {options.model}; percent with 95 % intervals")
    _say(_as_text(summary))
