"""What the papers' command line does: read a layer's values, its keys' triggers, and a prompt's sub-updates."""

import argparse

import torch

from papers.ffn_memories.aggregation import Values, at
from papers.ffn_memories.projection import project, read_vectors
from papers.ffn_memories.states import passes, values_of
from papers.ffn_memories.triggers import find_triggers
from shared.editing.command import load, say
from shared.errors import ConfigError, DataError
from shared.model.models import LM
from shared.model.tokens import encode


def _checked(lm: LM, keys: list[int]) -> list[int]:
    wrong = [key for key in keys if not 0 <= key < lm.arch.d_mlp]
    if wrong:
        raise ConfigError(f"--keys {wrong}: a layer of this model has keys 0 to {lm.arch.d_mlp - 1}")
    return keys


def _words(lm: LM, tokens: list[int]) -> str:
    return " ".join(repr(lm.tokenizer.decode([token])) for token in tokens)


def values(options: argparse.Namespace) -> None:
    """Print what a layer's values promote: the best tokens of each, and the probability of the first."""
    lm = load(options)
    lm.arch.block(options.layer)
    vectors = values_of(lm, options.layer)
    found = read_vectors(lm, vectors, options.projection, options.tokens, torch.full((len(vectors),), -1))
    sharpest = found.probability.argsort(descending=True)[: options.show].tolist()
    for key in _checked(lm, options.keys) if options.keys else sharpest:
        words = _words(lm, found.top[key].tolist())
        say(f"layer {options.layer} value {key:5d}  p {float(found.probability[key]):.3f}  {words}")


def triggers(options: argparse.Namespace) -> None:
    """Print the texts that keys respond to most, up to where they do.

    Raises:
        DataError: the corpus has no line of two tokens.
    """
    lm = load(options)
    lm.arch.block(options.layer)
    keys = _checked(lm, options.keys)
    with open(options.corpus, encoding="utf-8") as lines:
        texts = [line.strip() for _, line in zip(range(options.first), lines, strict=False)]
    sequences = [ids for text in texts if len(ids := encode(lm, text)[: lm.arch.n_positions]) > 1]
    if not sequences:
        raise DataError(f"{options.corpus}: no line has two tokens")
    found = find_triggers(lm, sequences, min(options.top, len(sequences)), max_tokens=4096)
    for key in keys:
        say(f"layer {options.layer} key {key}")
        for place in range(found.sentences.shape[2]):
            where = (options.layer, key, place)
            ids = sequences[int(found.sentences[where])][: int(found.positions[where]) + 1]
            say(f"  {float(found.coefficients[where]):8.3f}  {lm.tokenizer.decode(ids)}")


def updates(options: argparse.Namespace) -> None:
    """Print, layer by layer, the residual's best tokens and what the dominant sub-updates promote."""
    lm = load(options)
    ids = encode(lm, options.prompt)
    if not ids:
        raise DataError("the prompt is empty")
    [seen] = passes(lm, [ids], max_tokens=len(ids))
    places, known = at(seen, torch.tensor([len(ids) - 1], device=lm.device)), Values.of(lm, options.projection)
    for layer in range(lm.arch.n_layers):
        with torch.no_grad():
            before = project(lm, places.after[layer] - places.mlp[layer], options.projection)[0]
            after = project(lm, places.after[layer], options.projection)[0]
        shown = [_words(lm, scores.topk(min(3, options.tokens)).indices.tolist()) for scores in (before, after)]
        say(f"layer {layer}: {shown[0]} -> {shown[1]}")
        keys = places.keys[layer][0]
        strength = keys.abs() * known.norms[layer]
        for key in strength.topk(options.dominant).indices.tolist():
            vector = known.vectors[layer][key][None] * keys[key].sign()
            found = read_vectors(lm, vector, options.projection, options.tokens, torch.tensor([-1]))
            say(f"    {float(keys[key]):8.3f} x value {key:5d}  {_words(lm, found.top[0].tolist())}")
