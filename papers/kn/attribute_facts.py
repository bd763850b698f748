"""Attributions of every prompt of every fact, kept from a tenth of each prompt's greatest score on.

    python -m papers.kn.attribute_facts --model results/models/world-masked --patterns pararel_patterns.jsonl \\
        --facts trex.jsonl --out attributions.jsonl

One line per prompt: integrated gradients (`ig`) and, as the paper's baseline, the activations themselves
(`activation`), each as [layer, neuron, score].
"""

import argparse
import logging
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from papers.kn.attribution import AttributionSettings, attribute, strongest
from papers.kn.facts import Bag, add_options, open_chosen
from papers.kn.network import Network
from shared.editing.runs import shard_bounds
from shared.errors import reported
from shared.records import write_jsonl
from shared.traces.integrated_gradients import GRIDS

log = logging.getLogger(__name__)


def attributed(network: Network, bags: Sequence[Bag], settings: AttributionSettings) -> Iterator[dict[str, Any]]:
    """Yield one line per prompt, in order of length; nothing but the lines grows with the number of prompts."""
    prompts = [(bag, place) for bag in bags for place in range(len(bag.clozes))]
    clozes = [bag.clozes[place] for bag, place in prompts]
    for index, found in attribute(network, clozes, settings):
        bag, place = prompts[index]
        yield {
            "relation": bag.relation,
            "line": bag.fact.line,
            "subject": bag.fact.subject,
            "answer": bag.fact.answer,
            "pattern": bag.patterns[place],
            "shape": list(found.scores.shape),
            "probability": found.probability,
            "correct": found.predicted == clozes[index].answer,
            "ig": _rounded(strongest(found.scores)),
            "activation": _rounded(strongest(found.neurons)),
        }


def _rounded(scored: Sequence[tuple[int, int, float]]) -> list[list[int | float]]:
    return [[layer, neuron, float(f"{score:.7g}")] for layer, neuron, score in scored]


@reported(log)
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m papers.kn.attribute_facts", description=__doc__.split("\n")[0])
    add_options(parser)
    parser.add_argument("--steps", type=int, default=20, help="nodes of the Riemann sum (default: 20)")
    parser.add_argument("--grid", choices=GRIDS, default="left", help="where they lie (default: left)")
    parser.add_argument("--shard", default="1-of-1", help="which part of the facts, e.g. 2-of-8")
    parser.add_argument("--out", type=Path, required=True, help="attributions.jsonl to write")
    options = parser.parse_args(arguments)
    network, bags = open_chosen(options)
    start, stop = shard_bounds(options.shard, len(bags), 1)
    settings = AttributionSettings(options.steps, options.grid, max_tokens=options.max_tokens)
    total = sum(len(bag.clozes) for bag in bags[start:stop])
    with tqdm(total=total, unit="prompt", disable=not sys.stderr.isatty()) as bar:
        count = write_jsonl(options.out, _counted(attributed(network, bags[start:stop], settings), bar))
    log.info("%d prompts of %d facts written to %s", count, stop - start, options.out)


def _counted(lines: Iterator[dict[str, Any]], bar: tqdm) -> Iterator[dict[str, Any]]:
    for line in lines:
        bar.update()
        yield line


if __name__ == "__main__":
    main()
