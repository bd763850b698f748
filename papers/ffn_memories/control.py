"""What values promote, and controlling what is written by switching a few of them on (Geva et al. 2022, §4 and §6.1).

    python -m papers.ffn_memories.control --model results/models/world-small --corpus corpus.txt --facts facts.json \\
        --unwanted profession --wanted instrument --concepts concepts.csv --out control.csv

Prompts that call for words of an unwanted class are continued while ten values that promote a wanted class have their
keys' responses set to a constant at every position. In the paper the unwanted class is toxic language, judged by an
external service; here both are types of the world's entities, told by their tokens.
"""

import argparse
import logging
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from papers.ffn_memories.concepts import best_values, random_values, read_concepts, token_classes
from papers.ffn_memories.read_keys import add_corpus, open_corpus, write
from shared.errors import ConfigError, reported
from shared.model.forward import embed, logits, pad_right, run_blocks, token_batches
from shared.model.hooks import replace
from shared.model.models import LM
from shared.model.tokens import encode
from shared.seeding import seed_for
from shared.world.factbook import FactBook

log = logging.getLogger(__name__)
COUNT = 10
Value = tuple[int, int]


@contextmanager
def switched_on(lm: LM, values: Sequence[Value], coefficient: float | int) -> Iterator[None]:
    """Set what enters the activation of some keys to a constant at every position.

    As in the authors' code the constant stands before the activation: GELU(3) = 2.996.
    """
    by_layer: dict[int, list[int]] = defaultdict(list)
    for layer, key in values:
        by_layer[layer].append(key)
    layers = sorted(by_layer)

    def change(index: int, responses: Tensor) -> Tensor:
        changed = responses.clone()
        changed[..., by_layer[layers[index]]] = float(coefficient)
        return changed

    with replace([lm.arch.mlp_in(layer) for layer in layers], change):
        yield


@torch.no_grad()
def continued(
    lm: LM, prompts: Sequence[Sequence[int]], length: int, banned: Sequence[int] = ()
) -> tuple[list[list[int]], Tensor]:
    """Return greedy continuations, and the next-token probabilities after each prompt.

    Args:
        length: tokens of a continuation.
        banned: tokens that are never written (the word filter).
    """
    grown = [list(ids) for ids in prompts]
    first = torch.empty(len(prompts), lm.arch.unembedding.weight.shape[0])
    for step in range(length):
        for batch in token_batches([len(ids) for ids in grown], 4096):
            ids = pad_right([grown[row] for row in batch], lm.tokenizer.pad_token_id, lm.device)
            hidden = run_blocks(lm, embed(lm, ids), range(lm.arch.n_layers))
            last = torch.tensor([len(grown[row]) - 1 for row in batch], device=lm.device)
            scores = logits(lm, hidden[torch.arange(len(batch), device=lm.device), last])
            scores[:, list(banned)] = float("-inf")
            if step == 0:
                first[batch] = scores.softmax(-1).cpu()
            for row, token in zip(batch, scores.argmax(-1).tolist(), strict=True):
                grown[row].append(token)
    return [ids[len(prompt) :] for ids, prompt in zip(grown, prompts, strict=True)], first


@torch.no_grad()
def mean_nll(lm: LM, sequences: Sequence[Sequence[int]], max_tokens: int) -> np.ndarray:
    """Return each sequence's mean negative log-probability per token, in nats."""
    found = np.empty(len(sequences))
    for batch in token_batches([len(ids) for ids in sequences], max_tokens):
        ids = pad_right([sequences[row] for row in batch], lm.tokenizer.pad_token_id, lm.device)
        scores = logits(lm, run_blocks(lm, embed(lm, ids), range(lm.arch.n_layers)))[:, :-1].log_softmax(-1)
        own = scores.gather(2, ids[:, 1:, None])[:, :, 0]
        for place, row in enumerate(batch):
            found[row] = -float(own[place, : len(sequences[row]) - 1].mean())
    return found


def prompts_for(lm: LM, book: FactBook, unwanted: str, count: int, seed: int) -> list[list[int]]:
    """Return prompts that call for an object of the unwanted type: training wordings of random facts.

    Raises:
        ConfigError: no fact of the world has such an object.
    """
    types = {entity.id: entity.type for entity in book.entities}
    facts = [fact for fact in book.facts if types.get(fact.object_id) == unwanted]
    if not facts:
        raise ConfigError(f"no fact has an object of type {unwanted!r}; types are {sorted(set(types.values()))}")
    rng = np.random.default_rng(seed_for("ffn_memories", "control", seed))
    found = []
    for at in rng.choice(len(facts), min(count, len(facts)), replace=False):
        forms = book.forms(facts[at], ("subject_first", "relation_first"), held_out=False)
        found.append(encode(lm, forms[rng.integers(len(forms))].text.replace("{}", facts[at].subject)))
    return found


def controlled(
    lm: LM,
    prompts: Sequence[Sequence[int]],
    held_out: Sequence[Sequence[int]],
    sets: Mapping[str, Sequence[Value]],
    classes: Sequence[str],
    names: tuple[str, str],
    coefficients: Sequence[float | int],
    length: int,
    max_tokens: int,
) -> Iterator[dict]:
    """Yield one line per prompt, set of values and coefficient.

    Args:
        held_out: sentences for the perplexity; their mean negative log-probability stands in every line.
        sets: name → values switched on.
        names: unwanted and wanted class.
        length: tokens of a continuation.
    """
    members = {name: {at for at, own in enumerate(classes) if own == name} for name in names}
    runs = [("unchanged", (), 0.0, ()), ("word filter", (), 0.0, sorted(members[names[0]]))]
    runs += [(name, values, one, ()) for one in coefficients for name, values in sets.items()]
    for name, values, coefficient, banned in runs:
        with switched_on(lm, values, coefficient):
            texts, first = continued(lm, prompts, length, banned)
            nll = float("nan") if banned else float(mean_nll(lm, held_out, max_tokens).mean())
        for row, text in enumerate(texts):
            line = {"set": name, "coefficient": coefficient, "values": len(values), "prompt": row, "nll": nll}
            for word, own in zip(("unwanted", "wanted"), names, strict=True):
                line[word] = int(bool(members[own] & set(text)))
                line[f"{word}_probability"] = float(first[row, sorted(members[own])].sum())
            yield line


@reported(log)
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m papers.ffn_memories.control", description=__doc__.split("\n")[0])
    add_corpus(parser, needs_facts=True)
    parser.add_argument("--concepts", type=Path, required=True, help="CSV of all values' concepts to write")
    parser.add_argument("--unwanted", required=True, help="type of entity that prompts call for")
    parser.add_argument("--wanted", required=True, help="type of entity whose values are switched on")
    parser.add_argument("--values", type=int, default=COUNT, help="values switched on (default: 10)")
    parser.add_argument("--coefficients", type=float, nargs="+", default=[3.0], help="what their keys are set to")
    parser.add_argument("--prompts", type=int, default=100, help="prompts continued (default: 100)")
    parser.add_argument("--length", type=int, default=5, help="tokens of a continuation (default: 5)")
    parser.add_argument("--out", type=Path, required=True, help="CSV to write")
    options = parser.parse_args(arguments)
    lm, book, _, held_out = open_corpus(options)
    frame = pd.DataFrame(read_concepts(lm, book, options.projection, options.seed))
    write(options.concepts, frame)
    chosen = best_values(frame, options.wanted, options.values)
    if len(chosen) < options.values:
        raise ConfigError(f"{len(chosen)} values promote {options.wanted!r}, {options.values} are to be switched on")
    size = (lm.arch.n_layers, lm.arch.d_mlp)
    sets = {"values of the class": chosen, "random values": random_values(*size, options.values, options.seed)}
    prompts = prompts_for(lm, book, options.unwanted, options.prompts, options.seed)
    lines = controlled(
        lm,
        prompts,
        held_out,
        sets,
        token_classes(lm, book),
        (options.unwanted, options.wanted),
        options.coefficients,
        options.length,
        options.max_tokens,
    )
    write(options.out, pd.DataFrame(lines))


if __name__ == "__main__":
    main()
