"""What the paper's command line does: find, suppress and amplify the neurons of one fact, edit one fact."""

import argparse

import pandas as pd

import papers.kn.editor  # noqa: F401 (it registers its method)
from papers.kn import PAPER
from papers.kn.attribution import AttributionSettings, attribute, strongest
from papers.kn.interventions import scaled_logits
from papers.kn.loading import open_network
from papers.kn.network import Cloze, Network
from papers.kn.neurons import Neuron, coarse, refine
from shared import runtime
from shared.editing import command
from shared.editing.command import say
from shared.editing.editors import Editor, make_editor
from shared.errors import ConfigError, DataError
from shared.model.models import LM
from shared.records import atomic_path

AGREEING = 3


def build_editor(options: argparse.Namespace, lm: LM) -> Editor:
    """Return the editor that the options describe."""
    return make_editor("kn", threshold=options.threshold, leading_space=options.leading_space)


def edit(options: argparse.Namespace) -> None:
    """Edit one fact; show the model's answers before and after; save what was asked for.

    Raises:
        ConfigError: the true object, whose neurons are edited, is not given.
    """
    if options.true is None:
        raise ConfigError("give --true: knowledge neurons are those of the object that the model answers now")
    command.edit(options, build_editor, paper=PAPER.key)


def evaluate(options: argparse.Namespace) -> None:
    """Edit the cases of a file, ask the paper's questions before and after, and print the metrics."""
    command.evaluate(options, build_editor)


def _open(options: argparse.Namespace) -> tuple[Network, list[Cloze]]:
    device = runtime.start(options.threads, options.device)
    network = open_network(options.model, kind=options.kind, device=device)
    return network, [network.cloze(prompt, options.answer) for prompt in options.prompts]


def find_neurons(
    network: Network, clozes: list[Cloze], options: argparse.Namespace
) -> tuple[list[Neuron], pd.DataFrame]:
    """Return the fact's refined neurons, and all its coarse ones with their mean score and the prompts that agree.

    With fewer than three prompts all of them have to agree; the paper asks for three at least.
    """
    settings = AttributionSettings(options.steps, options.grid)
    scored = {index: strongest(found.scores) for index, found in attribute(network, clozes, settings)}
    kept = [coarse(scored[index], options.threshold) for index in range(len(clozes))]
    chosen = refine(kept, options.share, min(AGREEING, len(clozes)))
    rows = [
        [layer, neuron, score]
        for index, own in scored.items()
        for layer, neuron, score in own
        if (layer, neuron) in kept[index]
    ]
    frame = pd.DataFrame(rows, columns=["layer", "neuron", "score"]).groupby(["layer", "neuron"])["score"]
    table = frame.agg(prompts="size", mean_score="mean").reset_index()
    return chosen, table.sort_values(["prompts", "mean_score"], ascending=False)


def find(options: argparse.Namespace) -> None:
    """Print the neurons that carry one fact."""
    network, clozes = _open(options)
    chosen, table = find_neurons(network, clozes, options)
    clean = [float(network.clean([cloze]).probabilities[0]) for cloze in clozes]
    for prompt, probability in zip(options.prompts, clean, strict=True):
        say(f"p({options.answer!r}) = {probability:.4f}   {prompt}")
    say(f"\n{len(chosen)} knowledge neurons (layer, neuron, both from 0; prompts that agree; mean score)")
    for line in table.itertuples():
        if (line.layer, line.neuron) in chosen:
            say(f"  {line.layer:3d} {line.neuron:6d} {line.prompts:4d} {line.mean_score:10.5f}")
    if options.out:
        with atomic_path(options.out) as part:
            table.to_csv(part, index=False, float_format="%.6g", lineterminator="\n")
        say(f"all coarse neurons saved to {options.out}")


def _change(options: argparse.Namespace, factor: float) -> None:
    network, clozes = _open(options)
    chosen, _ = find_neurons(network, clozes, options)
    if not chosen:
        raise DataError("the prompts agree on no neuron: give more wordings of the fact, or a lower --share")
    asked = list(zip(options.prompts, clozes, strict=True))
    for text in options.also:
        prompt, equals, answer = text.rpartition("=")
        if not equals:
            raise ConfigError(f"--also {text!r}: expected PROMPT=ANSWER")
        asked.append((prompt, network.cloze(prompt, answer)))
    say(f"{len(chosen)} neurons times {factor:g}; probability of the answer, and the most probable token")
    for group, clean, changed in scaled_logits(network, [one for _, one in asked], [[chosen]] * len(asked), [factor]):
        for place, index in enumerate(group):
            answer = asked[index][1].answer
            before, after = clean.logits[place].softmax(-1), changed[0, place].softmax(-1)
            words = [network.lm.tokenizer.decode([int(one.argmax())]) for one in (before, after)]
            say(f"  {before[answer]:.4f} -> {after[answer]:.4f}   {words[0]!r} -> {words[1]!r}   {asked[index][0]}")


def suppress(options: argparse.Namespace) -> None:
    """Set the neurons of one fact to zero and compare the answers."""
    _change(options, 0.0)


def amplify(options: argparse.Namespace) -> None:
    """Double the neurons of one fact and compare the answers."""
    _change(options, 2.0)
