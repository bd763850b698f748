"""What activates knowledge neurons in open-domain text (§4.5): `python -m papers.kn.open_text --help`.

Three kinds of sentences for each fact, one word hidden in each: T1 names head and tail (the tail is hidden), T2 names
the head only, T3 is any other sentence. Facts without a sentence of the first two kinds, or without neurons, are left
out.
"""

import argparse
import logging
import random
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
import torch

from papers.kn.facts import Bag, add_options, open_chosen
from papers.kn.network import Network
from papers.kn.neurons import Neuron
from papers.kn.select_neurons import METHODS, read_neurons
from papers.kn.sentences import Bags, hide_tail, hide_word, pool_of, read_bags
from shared.errors import DataError, reported
from shared.records import atomic_path
from shared.seeding import seed_for

log = logging.getLogger(__name__)
KINDS = ("T1", "T2", "T3")
Asked = tuple[str, str, str]


def gaps_of(bag: Bag, own: Bags, pool: Sequence[str], seed: int) -> dict[str, list[Asked]]:
    """Return, per kind, sentences with what stands before and after their hidden word."""
    rng = random.Random(seed_for("kn", "open_text", seed, bag.relation, bag.fact.line))
    head, tail = bag.fact.subject, bag.fact.answer
    first = [(text, hide_tail(text, head, tail)) for text in own.both]
    second = [(text, hide_word(text, head, rng)) for text in own.head]
    others = [text for text in pool if head not in text]
    third = [(text, hide_word(text, "", rng)) for text in rng.sample(others, min(len(first), len(others)))]
    return {
        kind: [(text, *gap) for text, gap in found if gap]
        for kind, found in zip(KINDS, (first, second, third), strict=True)
    }


def activations_at(
    network: Network, gaps: Sequence[Asked], sets: Sequence[Sequence[Sequence[Neuron]]], max_tokens: int
) -> torch.Tensor:
    """Return the mean activation of each set's neurons at each gap, NaN where the gap cannot be asked; (gap, set)."""
    found = torch.full((len(gaps), len(sets[0])), float("nan"))
    asked = [(index, network.gap(before, after)) for index, (_, before, after) in enumerate(gaps)]
    asked = [(index, cloze) for index, cloze in asked if cloze]
    for group in network.groups([cloze for _, cloze in asked], 1, max_tokens):
        clean = network.clean([asked[place][1] for place in group])
        for row, place in enumerate(group):
            index = asked[place][0]
            for column, neurons in enumerate(sets[index]):
                if neurons:
                    layers, places = zip(*neurons, strict=True)
                    found[index, column] = clean.activations[row, list(layers), list(places)].mean()
    return found


def measured(
    network: Network,
    bags: Sequence[Bag],
    texts: Mapping[str, Sequence[Bags]],
    neurons: Mapping[str, Mapping[str, Mapping[int, Sequence[Neuron]]]],
    seed: int,
    max_tokens: int,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return mean activations per fact, method and kind, and the sum over a fact's neurons for each T1 sentence.

    Raises:
        DataError: the sentences do not belong to these facts.
    """
    pool, gaps, owners = pool_of(texts), [], []
    for bag in bags:
        if bag.fact.line >= len(texts.get(bag.relation, ())):
            raise DataError(
                f"no sentences for fact {bag.fact.line} of {bag.relation}; they must be aligned with the facts"
            )
        own = gaps_of(bag, texts[bag.relation][bag.fact.line], pool, seed)
        for kind, found in own.items():
            gaps += found
            owners += [(bag, kind)] * len(found)
    sets = [[neurons[name].get(bag.relation, {}).get(bag.fact.line, []) for name in METHODS] for bag, _ in owners]
    found = activations_at(network, gaps, sets, max_tokens)
    rows = []
    for place, (bag, kind) in enumerate(owners):
        for column, name in enumerate(METHODS):
            count = len(sets[place][column])
            rows.append([bag.relation, bag.fact.line, name, kind, count, float(found[place, column]), gaps[place][0]])
    columns = ["relation", "line", "set", "kind", "neurons", "activation", "sentence"]
    each = pd.DataFrame(rows, columns=columns).dropna(subset=["activation"])
    keys = ["relation", "line", "set"]
    complete = each[each["kind"] != KINDS[2]].groupby(keys)["kind"].transform("nunique") == 2
    kept = each.merge(each.loc[complete[complete].index, keys].drop_duplicates(), on=keys)
    facts = kept.groupby([*keys, "kind"], sort=False).agg(activation=("activation", "mean"), sentences=("kind", "size"))
    first = kept[(kept["kind"] == KINDS[0]) & (kept["set"] == METHODS[0])]
    return facts.reset_index(), first.assign(score=first["activation"] * first["neurons"])


@reported(log)
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m papers.kn.open_text", description=__doc__.split("\n")[0])
    add_options(parser)
    parser.add_argument("--neurons", type=Path, required=True, help="neurons.json")
    parser.add_argument("--sentences", type=Path, required=True, help="sentences in BingRel's format")
    parser.add_argument("--out", type=Path, required=True, help="CSV per fact to write")
    parser.add_argument("--each", type=Path, required=True, help="CSV per sentence to write")
    options = parser.parse_args(arguments)
    network, bags = open_chosen(options)
    neurons = {name: read_neurons(options.neurons, name) for name in METHODS}
    facts, each = measured(network, bags, read_bags(options.sentences), neurons, options.seed, options.max_tokens)
    for path, frame in ((options.out, facts), (options.each, each)):
        with atomic_path(path) as part:
            frame.to_csv(part, index=False, float_format="%.8g", lineterminator="\n")
    log.info("%d sentences of %d facts", len(each), len(bags))


if __name__ == "__main__":
    main()
