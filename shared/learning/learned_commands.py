"""What the command lines of learned editors do: train an editor for one's own model, and edit with it."""

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel

from shared import runtime
from shared.data.reading import read_records
from shared.editing.adapters import save_edit
from shared.editing.command import say
from shared.edits.deltas import applied
from shared.edits.factor_edits import edit_of
from shared.errors import ConfigError
from shared.inference.text_batches import CLASSIFIER, collate, encode_row, family_of, predictions, token_nll
from shared.inference.verdicts import REFUTES, SUPPORTS
from shared.learning.edit_examples import EditExample, ExampleSet, Statement
from shared.learning.edit_pools import Pool
from shared.learning.editor_training import TrainingSettings
from shared.learning.editor_training import train as train_editor
from shared.learning.learned_editors import Edits, LearnedEditor, load_learned, save_learned
from shared.model.models import LM, load_model
from shared.seeding import seed_for

Maker = Callable[[LM, list[str], Mapping[str, Any]], LearnedEditor]


class _Edit(BaseModel):
    input: str
    target: str
    equivalents: tuple[str, ...] = ()


class _Anchor(BaseModel):
    input: str
    target: str


def load(options: argparse.Namespace) -> LM:
    """Return the model that the options name."""
    return load_model(options.model, kind=options.kind, device=runtime.start(options.threads, options.device))


def modules_of(lm: LM, options: argparse.Namespace) -> list[str]:
    """Return the names of the linear maps that are edited.

    Raises:
        ConfigError: layers are given for a model that is no decoder.
    """
    if options.modules:
        return list(options.modules)
    if options.kind != "decoder":
        raise ConfigError(f"--layers names blocks of a decoder; give --modules for a {options.kind}")
    names = {id(module): name for name, module in lm.model.named_modules()}
    return [names[id(side(layer))] for layer in options.layers for side in (lm.arch.mlp_out, lm.arch.mlp_in)]


def _examples(options: argparse.Namespace) -> tuple[ExampleSet, ExampleSet]:
    """Return training and validation examples; both share the anchors."""
    edits = [
        EditExample(number, record.input, record.target, record.equivalents)
        for number, record in enumerate(read_records(options.edits, _Edit))
    ]
    anchors = tuple(Statement(record.input, record.target) for record in read_records(options.anchors, _Anchor))
    if len(edits) < options.validation + 2:
        raise ConfigError(
            f"{options.edits} has {len(edits)} edits, of which {options.validation} are kept for early stopping "
            "(--validation); at least two more are needed"
        )
    cut = len(edits) - options.validation
    return ExampleSet(tuple(edits[:cut]), anchors), ExampleSet(tuple(edits[cut:]), anchors)


def train_one(options: argparse.Namespace, make: Maker, training: Mapping[str, Any]) -> None:
    """Train an editor and write it; the same command continues a training that was stopped.

    Args:
        make: from the model, the names of the edited maps and the options' settings to the untrained editor.
        training: settings of the training where the options give none.
    """
    lm = load(options)
    pools = [Pool(lm, examples) for examples in _examples(options)]
    settings = TrainingSettings(**training | {"seed": options.seed} | options.training)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_for("editor", settings.seed) % 2**32)
        editor = make(lm, modules_of(lm, options), options.settings)
    checkpoint = Path(f"{options.out}.checkpoint")
    made = train_editor(editor.to(lm.device), lm, *pools, settings, checkpoint=checkpoint, digest=options.model)
    save_learned(editor, lm, options.out, {"steps": made["steps"], "best": made["best_step"]})
    checkpoint.unlink()
    for entry in made["history"]:
        say("step {step}: edit loss {edit:.3f}, locality {locality:.4f} nats, success {success:.0%}".format(**entry))
    say(f"editor of step {made['best_step']} written to {options.out}")


def edit_with(options: argparse.Namespace) -> None:
    """Edit one input or the inputs of a file together, and show answers before and after."""
    if (options.target is None) == (options.edits is None):
        raise ConfigError("give --input with --target, or --edits with a file of both")
    lm = load(options)
    pairs = [(options.input, options.target)]
    if options.edits:
        pairs = [(record.input, record.target) for record in read_records(options.edits, _Edit)]
    rows = [encode_row(lm, *pair) for pair in pairs]
    editor = load_learned(options.editor, lm)
    with torch.no_grad():
        made = edit_of(editor.changes(lm, Edits.of(lm, [[(row, (*row.source, *row.target)) for row in rows]])), 0)
    target = pairs[0][1]
    inputs = [source for source, _ in pairs] + options.also
    wanted = [answer for _, answer in pairs] + [target] * len(options.also)
    before = _answers(lm, inputs, wanted)
    with applied(lm, made):
        after = _answers(lm, inputs, wanted)
        if options.save_model:
            lm.model.save_pretrained(options.save_model)
            lm.tokenizer.save_pretrained(options.save_model)
    for source, answer, old, new in zip(inputs, wanted, before, after, strict=True):
        say(f"\n{source}\n  p({answer!r}) per token".ljust(40) + f" {old[1]:9.2e} -> {new[1]:9.2e}")
        say(f"  before: {old[0]!r}\n  after:  {new[0]!r}")
    if options.save_edit:
        save_edit(made, options.save_edit)
        say(f"\nedit saved to {options.save_edit}")
    if options.save_model:
        say(f"\nedited model saved to {options.save_model}")


@torch.no_grad()
def _answers(lm: LM, inputs: Sequence[str], wanted: Sequence[str]) -> list[tuple[str, float]]:
    """Return, for each input, what the model answers and the probability per token of the wanted answer."""
    found = []
    for source, answer in zip(inputs, wanted, strict=True):
        batch = collate(lm, [encode_row(lm, source, answer)])
        logits = predictions(lm, batch)
        count = int((batch.labels >= 0).sum())
        probability = float((-token_nll(logits, batch).sum() / count).exp())
        if family_of(lm.model) == CLASSIFIER:
            found.append((SUPPORTS if float(logits[0, 0, 0]) > 0 else REFUTES, probability))
            continue
        asked = lm.tokenizer(source, return_tensors="pt", return_token_type_ids=False).to(lm.device)
        ids = lm.model.generate(**asked, max_new_tokens=max(8, count), do_sample=False, num_beams=1)[0]
        fresh = ids if lm.model.config.is_encoder_decoder else ids[asked["input_ids"].shape[1] :]
        found.append((lm.tokenizer.decode(fresh, skip_special_tokens=True).strip(), probability))
    return found
