"""What `python -m shared` does: list the methods, edit by any of them, examine a model."""

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from shared import runtime
from shared.data.requests import read_counterfact, read_requests
from shared.editing.catalogue import catalogue
from shared.editing.command import say
from shared.editing.doctor import described, examine
from shared.editing.editors import takes_of
from shared.editing.methods import title_of
from shared.editing.model_editor import ModelEditor
from shared.errors import ConfigError, DataError, ModelError
from shared.model.models import load_model

NEEDS = {"moments": "second moments", "pool": "a pool of cases"}


def methods(_options: argparse.Namespace) -> None:
    """List every method with its paper and what it is given."""
    for name, entry in catalogue().items():
        settings = entry.named_settings
        needs = [NEEDS[given] for given in takes_of(name) if given in NEEDS]
        if "file" in (settings or ()):
            needs.append(f"a trained file (python -m papers.{entry.paper.key} train)")
        if "parts" in (settings or ()):
            needs.append(f"trained parts (python -m papers.{entry.paper.key}.train)")
        wants = f"; takes {', '.join(needs)}" if needs else ""
        say(f"{name:<12}{title_of(name)}: {entry.paper.authors} ({entry.paper.year}){wants}")


def parse_settings(pairs: Sequence[str]) -> dict[str, Any]:
    """Return settings from NAME=VALUE, values read as YAML.

    Raises:
        ConfigError: a pair has no `=`, or its value cannot be read.
    """
    found = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise ConfigError(f"--set {pair}: expected NAME=VALUE, such as layers=[5]")
        try:
            found[name] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise ConfigError(f"--set {pair}: the value is not valid YAML: {error}") from error
    return found


def _facts(options: argparse.Namespace) -> list[Any]:
    if options.facts is not None:
        return read_requests(options.facts)
    given = {"subject": options.subject, "prompt": options.prompt, "target": options.target}
    missing = [f"--{name}" for name, value in given.items() if value is None]
    if missing:
        raise DataError(f"no fact to edit: give {', '.join(missing)}, or --facts FILE")
    fact = {"subject": options.subject, "prompt": options.prompt, "target_new": options.target}
    return [fact if options.true is None else fact | {"target_true": options.true}]


def edit(options: argparse.Namespace) -> None:
    """Edit the facts together, print what changed, save what was asked for."""
    facts = _facts(options)
    runtime.start(options.threads, options.device)
    editor = ModelEditor(
        options.model,
        options.method,
        moments=options.moments,
        corpus=options.corpus,
        documents=options.documents,
        pool=read_counterfact(options.pool) if options.pool else (),
        device=options.device,
        **parse_settings(options.set),
    )
    outcome = editor.edit(*facts)
    say(f"{title_of(options.method)} on {options.model}: {len(facts)} facts, an edit of kind {outcome.edit.kind}")
    _show(outcome.edit.info)
    say("\n" + outcome.probes.to_string(index=False, float_format="{:.2e}".format))
    say("\n" + outcome.metrics.to_string(float_format="{:.3f}".format))
    wanted = (options.save, options.save_adapter, options.save_model)
    for place, save in zip(wanted, (editor.save, editor.save_adapter, editor.save_model), strict=True):
        if place:
            save(place)
            say(f"\nsaved to {place}")


def _show(info: Mapping[str, Any]) -> None:
    numbers = [f"{name} {value:.4g}" for name, value in info.items() if not isinstance(value, str)]
    if numbers:
        say("  " + ", ".join(numbers))


def doctor(options: argparse.Namespace) -> None:
    """Print what was found in a model; test the engine on a decoder.

    Raises:
        ModelError: a test fails, so that results on this model would be wrong.
    """
    device = runtime.start(options.threads, options.device)
    lm = load_model(options.model, options.kind, device=device)
    for name, value in described(lm).items():
        say(f"{name:<24}{value}")
    if options.kind != "decoder":
        say("NOT_RUN: the tests are for decoders")
        return
    checks = examine(lm)
    for check in checks:
        say(f"{'PASS' if check.holds else 'FAIL'}  {check.name} ({check.seen})")
    failed = [check.name for check in checks if not check.holds]
    if failed:
        raise ModelError(f"{options.model}: {len(failed)} of {len(checks)} tests fail: {'; '.join(failed)}")
