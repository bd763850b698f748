"""What suppressing and amplifying does to the answers, fact by fact: `python -m papers.kn.modify_facts --help`.

Each fact's prompts are asked with its own neurons set to zero and doubled, with those of the activation baseline, with
equally many random ones, and with the neurons of a fact of another relation. One line per fact, set and factor.
"""

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import torch

from papers.kn.facts import Bag, add_options, open_chosen
from papers.kn.interventions import scaled_probabilities
from papers.kn.network import Network
from papers.kn.neurons import Neuron
from papers.kn.random_sets import Sets, other_fact, random_neurons
from papers.kn.select_neurons import METHODS, read_neurons
from shared.errors import reported
from shared.records import atomic_path

log = logging.getLogger(__name__)
RANDOM, OTHER = "random", "other"
SETS = (*METHODS, RANDOM, OTHER)
FACTORS = {"suppress": 0.0, "amplify": 2.0}


def sets_of(network: Network, bag: Bag, sets: dict[str, Sets], seed: int) -> dict[str, Sequence[Neuron]]:
    """Return the sets of neurons that a fact's prompts are asked under."""
    key = (bag.relation, bag.fact.line)
    own = {name: sets[name].get(bag.relation, {}).get(bag.fact.line, []) for name in METHODS}
    shape = (network.n_layers, network.d_mlp)
    own[RANDOM] = random_neurons(len(own["ig"]), shape, "kn", RANDOM, seed, *key)
    own[OTHER] = other_fact(sets["ig"], bag.relation, "kn", OTHER, seed, *key)
    return own


def modified(network: Network, bags: Sequence[Bag], sets: dict[str, Sets], seed: int, max_tokens: int) -> pd.DataFrame:
    """Return, per fact, set and factor, the mean probability of the answer before and after over the fact's prompts.

    `log_odds` is the mean change of ln p/(1 − p), which tells changes apart that happen close to 1.

    Cost: one pass per prompt, and one per set and factor.
    """
    prompts = [(bag, cloze) for bag in bags for cloze in bag.clozes]
    clozes = [cloze for _, cloze in prompts]
    own = {id(bag): sets_of(network, bag, sets, seed) for bag in bags}
    asked = [[[], *(own[id(bag)][name] for name in SETS)] for bag, _ in prompts]
    found = scaled_probabilities(network, clozes, asked, list(FACTORS.values()), max_tokens=max_tokens).double()
    columns = [(change, name) for change in FACTORS for name in ("before", *SETS)]
    rows, first = [], 0
    for bag in bags:
        part = dict(zip(columns, found[first : first + len(bag.clozes)].T, strict=True))
        first += len(bag.clozes)
        for change in FACTORS:
            for name in SETS:
                before, after = part[change, "before"], part[change, name]
                line = [bag.relation, bag.fact.line, name, change, len(own[id(bag)][name]), len(before)]
                shift = (torch.logit(after, eps=1e-9) - torch.logit(before, eps=1e-9)).mean()
                rows.append([*line, float(before.mean()), float(after.mean()), float(shift)])
    columns = ["relation", "line", "set", "change", "neurons", "prompts", "before", "after", "log_odds"]
    return pd.DataFrame(rows, columns=columns)


@reported(log)
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m papers.kn.modify_facts", description=__doc__.split("\n")[0])
    add_options(parser)
    parser.add_argument("--neurons", type=Path, required=True, help="neurons.json")
    parser.add_argument("--out", type=Path, required=True, help="CSV to write")
    options = parser.parse_args(arguments)
    network, bags = open_chosen(options)
    sets = {name: read_neurons(options.neurons, name) for name in METHODS}
    frame = modified(network, bags, sets, options.seed, options.max_tokens)
    with atomic_path(options.out) as part:
        frame.to_csv(part, index=False, float_format="%.8g", lineterminator="\n")
    log.info("%d facts written to %s", len(bags), options.out)


if __name__ == "__main__":
    main()
