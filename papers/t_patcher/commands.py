"""What the paper's command line does: patch a model's mistakes, list patches, remove some."""

import argparse
import json

from papers.t_patcher.data import read_examples
from papers.t_patcher.patches import Patches
from papers.t_patcher.problem import Example, Problem, Sources
from papers.t_patcher.sequential import stream_rows
from papers.t_patcher.settings import PatchSettings
from papers.t_patcher.stream import Editing
from shared import runtime
from shared.editing.command import say
from shared.errors import DataError
from shared.model.models import load_model


def patch(options: argparse.Namespace) -> None:
    """Mend the mistakes of a file one after another, write the patches, and say what holds afterwards.

    A killed run goes on where it stopped: each patch stands in a folder beside the file until all are made.

    Raises:
        DataError: a file cannot be used, the file of patches exists, or the model makes none of the mistakes.
    """
    if options.patches.exists():
        raise DataError(f"{options.patches} exists: its patches would be lost; give another name, or delete it first")
    device = runtime.start(options.threads, options.device)
    lm = load_model(options.model, kind=options.kind, device=device)
    mistakes = tuple(read_examples(options.mistakes)[: options.first])
    kept = read_examples(options.memory)[: 2 * options.remembered] if options.memory else [*mistakes]
    half = max(1, len(kept) // 2)
    first, second = tuple(kept[:half]), tuple(kept[half:] or kept)
    problem = Problem(lm, Sources(mistakes, first, second, first, second))
    settings = PatchSettings(
        memory_loss="full" if options.memory else "none",
        memory_weight=options.memory_weight,
        memory_top=options.top,
        max_steps=options.max_steps,
    )
    rounds = options.patches.with_name(options.patches.name + ".rounds")
    editing = Editing(problem, [[*range(len(mistakes))]], settings, options.seed, folder=rounds)
    for number in editing.run():
        _say_edit(mistakes, editing, number)
    [stream] = editing.streams
    if not stream.edits:
        raise DataError(
            f"{options.mistakes}: {options.model} answers all {len(mistakes)} inputs right; nothing to patch"
        )
    told = {edit.example: [mistakes[edit.example].source, mistakes[edit.example].target] for edit in stream.edits}
    stream.patches.save(options.patches, model=str(options.model), kind=options.kind, mistakes=json.dumps(told))
    for path in rounds.glob("round_*.safetensors"):
        path.unlink()
    rounds.rmdir()
    [row] = stream_rows(editing, {})
    mended = sum(edit.right for edit in stream.edits)
    say(f"{mended} of {row['edits']} mistakes mended with {row['patches']} patches, written to {options.patches}")
    if mended < row["edits"]:
        say("  a larger --max-steps or a smaller --memory-weight mends more, the latter at the cost of other answers")
    say(f"  right after the last edit: {_percent(row['edit_retain_rate'])} of them")
    if options.memory:
        say(
            f"  right as before on inputs to leave alone: {_percent(row['train_retain_rate'])} trained on, "
            f"{_percent(row['test_retain_rate'])} others"
        )


def _say_edit(mistakes: tuple[Example, ...], editing: Editing, number: int) -> None:
    edit = editing.streams[0].edits[-1]
    example = mistakes[edit.example]
    outcome = "mended" if edit.right else "NOT mended"
    say(
        f"{number:4d}  example {edit.example}: {example.source!r} -> {example.target!r}  {outcome}, "
        f"{edit.patches} patches, {edit.steps} steps"
    )


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"


def list(options: argparse.Namespace) -> None:  # noqa: A001 (the command's name)
    """Print the mistakes that a file's patches were made for."""
    patches, info = Patches.load(options.patches)
    told = json.loads(info.get("mistakes", "{}"))
    say(f"{len(patches)} patches for {len(set(patches.owner))} mistakes of {info.get('model', 'an unnamed model')}")
    for owner in dict.fromkeys(patches.owner):
        places = [index for index, other in enumerate(patches.owner) if other == owner]
        source, target = told.get(str(owner), ["?", "?"])
        norm = float(patches.value[places].norm(dim=1).max())
        say(f"  example {owner}: {source!r} -> {target!r}  {len(places)} patches, largest value {norm:.2f}")


def remove(options: argparse.Namespace) -> None:
    """Take the patches of some mistakes out of a file; without any patch the model is the old one, bit for bit."""
    patches, info = Patches.load(options.patches)
    left = patches.without(options.examples)
    told = {
        owner: pair
        for owner, pair in json.loads(info.get("mistakes", "{}")).items()
        if int(owner) not in options.examples
    }
    left.save(options.patches, **(info | {"mistakes": json.dumps(told)}))
    say(f"{len(patches) - len(left)} patches removed, {len(left)} left")
