"""Updating facts and erasing relations by their knowledge neurons' values: `python -m papers.kn.rewrite_values --help`.

Updates: random facts that the model answers at a random one of their prompts get another tail of the same relation; the
edited model is asked that prompt, prompts of other facts of the relation, and prompts of other relations. What is
written are the tails' input embeddings, as in the paper, or the directions that the head reads as the tails.

Erasures: the value vectors of a relation's most frequent neurons are set to zero. Updates and erasures stand beside
those of equally many random neurons, and are undone from a copy of the weights.
"""

import argparse
import logging
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from papers.kn.answers import Answers, read_answers
from papers.kn.facts import Bag, add_options, open_chosen
from papers.kn.network import Network
from papers.kn.neurons import Neuron, most_frequent, own
from papers.kn.random_sets import random_neurons
from papers.kn.select_neurons import read_neurons
from papers.kn.value_edits import erase, read_out, update
from shared.edits.deltas import Edit, applied
from shared.errors import ConfigError, reported
from shared.records import atomic_path
from shared.seeding import seed_for

log = logging.getLogger(__name__)
IG, RANDOM, READ_OUT = "ig", "random", "_read_out"
DRAWS = 10_000
UPDATE_COLUMNS = ["relation", "line", "set", "neurons", "changed", "success", "success_5", "reciprocal_rank"]
UPDATE_COLUMNS += ["probability_before", "probability_after"]
UPDATE_COLUMNS += ["intra_before", "intra_after", "inter_before", "inter_after"]
ERASE_COLUMNS = ["relation", "set", "count", "neurons", "asked", "prompts"]
ERASE_COLUMNS += ["accuracy_before", "accuracy_after", "nll_before", "nll_after"]


@dataclass(frozen=True)
class UpdateSettings:
    """How facts are updated: λ₁ and λ₂, edits per relation, other facts asked, and the share of neurons left alone.

    Neurons of more than `common` of a relation's facts are not edited.
    """

    removed: float | int = 1
    added: float | int = 8
    edits: int = 10
    others: int = 5
    common: float = 0.1


class Prompts:
    """All prompts of all facts with the unedited model's answers."""

    def __init__(self, network: Network, bags: Sequence[Bag], max_tokens: int):
        self.bags, self._max_tokens = list(bags), max_tokens
        self.clozes = [cloze for bag in bags for cloze in bag.clozes]
        self.before = read_answers(network, self.clozes, max_tokens)
        self._rows, first = [], 0
        for bag in bags:
            self._rows.append(range(first, first + len(bag.clozes)))
            first += len(bag.clozes)

    def rows(self, bags: Sequence[int]) -> list[int]:
        """Return the numbers of some facts' prompts."""
        return [row for bag in bags for row in self._rows[bag]]

    def ask(self, network: Network, rows: Sequence[int]) -> Answers:
        """Return the answers of the network as it is now."""
        return read_answers(network, [self.clozes[row] for row in rows], self._max_tokens)


def updates(
    network: Network,
    prompts: Prompts,
    neurons: Mapping[str, Mapping[int, Sequence[Neuron]]],
    how: UpdateSettings,
    seed: int,
) -> Iterator[list]:
    """Yield the outcome of every update, by the fact's own neurons and by random ones; see UPDATE_COLUMNS.

    Each once with input embeddings, and once with read-out directions.

    Cost: per update four passes over the prompts of `2 · others` facts.
    """
    by_relation: dict[str, list[int]] = {}
    for index, bag in enumerate(prompts.bags):
        by_relation.setdefault(bag.relation, []).append(index)
    for relation, members in by_relation.items():
        rng = random.Random(seed_for("kn", "update", seed, relation))
        elsewhere = [index for index, bag in enumerate(prompts.bags) if bag.relation != relation]
        tails = sorted({prompts.bags[index].clozes[0].answer for index in members})
        done = 0
        for index in (rng.choice(members) for _ in range(DRAWS)):
            row = rng.choice(prompts.rows([index]))
            others = [tail for tail in tails if tail != prompts.clozes[row].answer]
            if done == how.edits or not others:
                break
            if not prompts.before.correct[row]:
                continue
            near = rng.sample([one for one in members if one != index], min(how.others, len(members) - 1))
            far = rng.sample(elsewhere, min(how.others, len(elsewhere)))
            bag = prompts.bags[index]
            chosen = own(neurons[relation][bag.fact.line], neurons[relation], how.common)
            drawn = random_neurons(len(chosen), (network.n_layers, network.d_mlp), "kn", "update", seed, relation, done)
            done += 1
            places, new = ([row], prompts.rows(near), prompts.rows(far)), rng.choice(others)
            pair = [int(prompts.before.predicted[row]), new]
            directions = read_out(network, prompts.clozes[row], pair)
            for words, ending in ((None, ""), (directions, READ_OUT)):
                for name, own_neurons in ((IG, chosen), (RANDOM, drawn)):
                    edit = update(network, own_neurons, *pair, removed=how.removed, added=how.added, words=words)
                    yield [relation, bag.fact.line, name + ending, *_outcome(network, prompts, edit, places, new)]


def _outcome(
    network: Network, prompts: Prompts, edit: Edit, places: tuple[list[int], list[int], list[int]], new: int
) -> list:
    """Return one update's numbers from `neurons` on: its own prompt, the relation's other facts, other relations'."""
    [[row], near, far] = places
    before, cloze = prompts.before, prompts.clozes[row]
    wanted = [replace(cloze, answer=new)]
    start = read_answers(network, wanted, len(cloze.ids))
    with applied(network.lm, edit):
        end = read_answers(network, wanted, len(cloze.ids))
        intra, inter = (prompts.ask(network, rows) for rows in (near, far))
    nll = [-float(one.log_probs.mean()) for one in (before.of(near), intra, before.of(far), inter)]
    probabilities = [float(one.log_probs.exp()[0]) for one in (start, end)]
    rank = int(end.ranks[0])
    changed = int(end.predicted[0]) != cloze.answer
    return [edit.info["neurons"], int(changed), int(rank == 0), int(rank < 5), 1 / (rank + 1), *probabilities, *nll]


def erasures(
    network: Network,
    prompts: Prompts,
    neurons: Mapping[str, Mapping[int, Sequence[Neuron]]],
    relations: Sequence[str],
    counts: Sequence[int],
    seed: int,
) -> Iterator[list]:
    """Yield what is left after erasing each relation: of its own prompts, and of all others; see ERASE_COLUMNS.

    Raises:
        ConfigError: a relation has no facts here.
    """
    missing = [relation for relation in relations if relation not in neurons]
    if missing:
        raise ConfigError(f"relations {missing} are to be erased; the facts are of {sorted(neurons)}")
    for relation in relations:
        groups = {
            asked: prompts.rows([i for i, bag in enumerate(prompts.bags) if (bag.relation == relation) == same])
            for asked, same in (("own", True), ("others", False))
        }
        for count in counts:
            frequent = most_frequent(neurons[relation], count)
            shape = (network.n_layers, network.d_mlp)
            drawn = random_neurons(len(frequent), shape, "kn", "erase", seed, relation, count)
            for name, chosen in ((IG, frequent), (RANDOM, drawn)):
                with applied(network.lm, erase(network, chosen)):
                    after = prompts.ask(network, range(len(prompts.clozes)))
                for asked, rows in groups.items():
                    pair = (prompts.before.of(rows), after.of(rows))
                    accuracy = [float(one.correct.double().mean()) for one in pair]
                    nll = [-float(one.log_probs.mean()) for one in pair]
                    yield [relation, name, count, len(chosen), asked, len(rows), *accuracy, *nll]


@reported(log)
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m papers.kn.rewrite_values", description=__doc__.split("\n")[0])
    add_options(parser)
    defaults = UpdateSettings()
    parser.add_argument("--neurons", type=Path, required=True, help="neurons.json")
    parser.add_argument("--removed", type=float, default=defaults.removed, help="λ₁ (default: 1)")
    parser.add_argument("--added", type=float, default=defaults.added, help="λ₂ (default: 8)")
    parser.add_argument("--edits", type=int, default=defaults.edits, help="updates of each relation (default: 10)")
    parser.add_argument("--others", type=int, default=defaults.others, help="other facts asked (default: 5)")
    parser.add_argument("--common", type=float, default=defaults.common, help="share of facts (default: 0.1)")
    parser.add_argument("--erase", nargs="*", default=[], metavar="RELATION", help="relations to erase")
    parser.add_argument("--counts", type=int, nargs="+", default=[20], help="neurons erased (default: 20)")
    parser.add_argument("--updates-out", type=Path, required=True, help="CSV to write")
    parser.add_argument("--erasures-out", type=Path, required=True, help="CSV to write")
    options = parser.parse_args(arguments)
    network, bags = open_chosen(options)
    prompts = Prompts(network, bags, options.max_tokens)
    neurons = read_neurons(options.neurons, IG)
    how = UpdateSettings(options.removed, options.added, options.edits, options.others, options.common)
    made = {
        options.updates_out: pd.DataFrame(
            updates(network, prompts, neurons, how, options.seed), columns=UPDATE_COLUMNS
        ),
        options.erasures_out: pd.DataFrame(
            erasures(network, prompts, neurons, options.erase, options.counts, options.seed), columns=ERASE_COLUMNS
        ),
    }
    for path, frame in made.items():
        with atomic_path(path) as part:
            frame.to_csv(part, index=False, float_format="%.8g", lineterminator="\n")
        log.info("%d lines written to %s", len(frame), path)


if __name__ == "__main__":
    main()
