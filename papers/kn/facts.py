"""The prompts of cloze facts, as one network sees them, and the options that say which facts are used."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from papers.kn.cloze_facts import ClozeFact, ClozeRelation, read_relations
from papers.kn.loading import KINDS, open_network
from papers.kn.network import Cloze, Network
from shared import runtime
from shared.errors import DataError


@dataclass(frozen=True)
class Bag:
    """One fact with all its prompts that the network can be asked.

    Attributes:
        relation: its relation's id.
        fact: subject and answer.
        patterns, clozes: the prompts, as text and as tokens.
    """

    relation: str
    fact: ClozeFact
    patterns: tuple[str, ...]
    clozes: tuple[Cloze, ...]


def bags_of(network: Network, relations: Sequence[ClozeRelation], min_patterns: int) -> list[Bag]:
    """Return the facts that can be asked in at least `min_patterns` ways, relation by relation.

    A causal network asks patterns that end with the answer only; both kinds leave out answers of several tokens.

    Raises:
        DataError: no fact is left.
    """
    found = []
    for relation in relations:
        for fact in relation.facts:
            made = [(pattern, network.encode(pattern, fact.subject, fact.answer)) for pattern in relation.patterns]
            asked = [(pattern, cloze) for pattern, cloze in made if cloze is not None]
            if len(asked) >= min_patterns:
                patterns, clozes = zip(*asked, strict=True)
                found.append(Bag(relation.id, fact, patterns, clozes))
    if not found:
        raise DataError(
            f"no fact can be asked in {min_patterns} ways: its answer has to be one token of {network.lm.name}'s "
            "vocabulary, and for a causal model patterns have to end with it"
        )
    return found


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the model, the files of facts and which of them are used."""
    parser.add_argument("--model", required=True, help="folder or hub id of the model")
    parser.add_argument("--kind", choices=KINDS, help="masked or causal (default: what the folder's config says)")
    parser.add_argument("--patterns", type=Path, required=True, help="ParaRel's patterns, a file or a folder")
    parser.add_argument("--facts", type=Path, required=True, help="T-REx pairs, a file or a folder")
    parser.add_argument("--min-patterns", type=int, default=4, help="relations and facts need so many (default: 4)")
    parser.add_argument("--max-facts", type=int, help="facts of each relation at most (default: all)")
    parser.add_argument("--max-relations", type=int, help="relations at most (default: all)")
    parser.add_argument("--max-tokens", type=int, default=4096, help="tokens of one pass")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", choices=["float32", "bfloat16", "float16"], default="float32")


def relations_of(options: argparse.Namespace) -> list[ClozeRelation]:
    """Return the relations that the options choose."""
    found = read_relations(
        options.patterns, options.facts, min_patterns=options.min_patterns, max_facts=options.max_facts
    )
    return found[: options.max_relations]


def open_chosen(options: argparse.Namespace) -> tuple[Network, list[Bag]]:
    """Return the network and the facts that the options choose."""
    device = runtime.start(options.threads, options.device)
    network = open_network(options.model, kind=options.kind, device=device, dtype=getattr(torch, options.dtype))
    return network, bags_of(network, relations_of(options), options.min_patterns)
