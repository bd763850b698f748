"""Knowledge neurons of all facts, from stored attributions: `python -m papers.kn.select_neurons --help`.

Writes, for integrated gradients and for the activation baseline, each relation's share of prompts and each fact's
refined neurons, with the number of prompts and of those that the model answers.
"""

import argparse
import json
import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from papers.kn.neurons import Sharing, share_neurons
from shared import runtime
from shared.errors import DataError, reported
from shared.records import read_json, read_jsonl, write_json

log = logging.getLogger(__name__)
METHODS = ("ig", "activation")


def select(lines: Iterable[Mapping[str, Any]], sharing: Mapping[str, Sharing]) -> dict[str, Any]:
    """Return the neurons of all facts under each method.

    Args:
        lines: of `papers.kn.attribute_facts`.
        sharing: method → how its neurons are shared.

    Raises:
        DataError: there are no lines.
    """
    bags: dict[str, dict[str, dict[str, list]]] = {name: defaultdict(lambda: defaultdict(list)) for name in sharing}
    prompts: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0, 0]))
    shape = None
    for line in lines:
        shape, relation, fact = line["shape"], line["relation"], str(line["line"])
        prompts[relation][fact][0] += 1
        prompts[relation][fact][1] += line["correct"]
        for name in sharing:
            bags[name][relation][fact].append(line[name])
    if shape is None:
        raise DataError("no attributions were given; run `python -m papers.kn.attribute_facts` first")
    methods = {}
    for name, how in sharing.items():
        found = {relation: share_neurons(own, how) for relation, own in sorted(bags[name].items())}
        methods[name] = {
            relation: {"share": own.share, "facts": {fact: own.facts[fact] for fact in sorted(own.facts, key=int)}}
            for relation, own in found.items()
        }
        log.info("%s: %.2f neurons per fact", name, _average(own.facts for own in found.values()))
    return {"shape": shape, "prompts": prompts, "methods": methods}


def _average(relations: Iterable[Mapping[str, Sequence]]) -> float:
    counts = [len(neurons) for facts in relations for neurons in facts.values()]
    return sum(counts) / len(counts)


def read_neurons(path: str | Path, method: str) -> dict[str, dict[int, list[tuple[int, int]]]]:
    """Return one method's neurons: relation → line of the fact → neurons."""
    found = read_json(path)["methods"][method]
    return {
        relation: {int(fact): [tuple(pair) for pair in neurons] for fact, neurons in own["facts"].items()}
        for relation, own in found.items()
    }


@reported(log)
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m papers.kn.select_neurons", description=__doc__.split("\n")[0])
    parser.add_argument("--attributions", type=Path, nargs="+", required=True, help="of all shards")
    parser.add_argument("--sharing", type=json.loads, required=True, help="JSON object: method → threshold, share, ...")
    parser.add_argument("--out", type=Path, required=True, help="neurons.json to write")
    options = parser.parse_args(arguments)
    runtime.start_logging()
    lines = (line for path in options.attributions for line in read_jsonl(path))
    write_json(options.out, select(lines, {name: Sharing(**own) for name, own in options.sharing.items()}))


if __name__ == "__main__":
    main()
