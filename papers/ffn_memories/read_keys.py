"""Keys by their trigger examples, and values by what they predict: `python -m papers.ffn_memories.read_keys --help`.

One pass finds the trigger examples of every key. For some keys of each layer: which patterns the examples share, beside
equally many random prefixes, and how the key's response changes without the first, the last or a random token. For
every key: whether its value's best token follows its trigger examples.
"""

import argparse
import logging
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd
import torch

from papers.ffn_memories.annotation import coverage, frequencies, patterns, properties
from papers.ffn_memories.projection import read_values
from papers.ffn_memories.sentences import Sentence, read_sentences
from papers.ffn_memories.states import passes
from papers.ffn_memories.triggers import Triggers, find_triggers
from shared import runtime
from shared.errors import reported
from shared.model.models import LM, load_lm
from shared.model.tokens import encode
from shared.records import atomic_path
from shared.seeding import seed_for
from shared.world.factbook import FactBook

log = logging.getLogger(__name__)
ANNOTATED, BASELINE = 25, 5000
REMOVED = ("first", "last", "random")
Prefix = list[int]


def prefix_of(sequences: Sequence[Sequence[int]], triggers: Triggers, key: tuple[int, int], place: int) -> Prefix:
    """Return the tokens of one trigger example of a key up to its position."""
    at = (*key, place)
    return list(sequences[int(triggers.sentences[at])][: int(triggers.positions[at]) + 1])


def sampled(layers: int, width: int, count: int, seed: int) -> list[tuple[int, int]]:
    """Return so many random keys of each layer."""
    rng = random.Random(seed_for("ffn_memories", "keys", seed))
    return [(layer, key) for layer in range(layers) for key in sorted(rng.sample(range(width), min(count, width)))]


def annotated(
    lm: LM,
    sentences: Sequence[Sentence],
    sequences: Sequence[Sequence[int]],
    triggers: Triggers,
    keys: Sequence[tuple[int, int]],
    seed: int,
) -> Iterator[dict]:
    """Yield, per key, the shares of its trigger examples under each kind of pattern, and those of random prefixes."""
    rng = random.Random(seed_for("ffn_memories", "random prefixes", seed))
    words = [[lm.tokenizer.decode([token]).strip() for token in ids] for ids in sequences]
    count = min(ANNOTATED, triggers.sentences.shape[2], len(sequences))
    usual = frequencies(
        [
            properties(words[row][: rng.randrange(len(words[row]) - 1) + 1], sentences[row])
            for row in rng.choices(range(len(sequences)), k=BASELINE)
        ]
    )
    for layer, key in keys:
        places = [
            (int(triggers.sentences[layer, key, at]), int(triggers.positions[layer, key, at])) for at in range(count)
        ]
        drawn = [(row, rng.randrange(len(sequences[row]) - 1)) for row in rng.sample(range(len(sequences)), count)]
        for name, chosen in (("trigger", places), ("random", drawn)):
            examples = [properties(words[row][: at + 1], sentences[row]) for row, at in chosen]
            found = patterns(examples, usual)
            best = "; ".join(f"{one.kind}: {one.value} ({one.count})" for one in found[:3])
            row, at = chosen[0]
            line = {"layer": layer, "key": key, "examples": name, **coverage(examples, found), "patterns": len(found)}
            yield line | {"best": best, "example": lm.tokenizer.decode(list(sequences[row][: at + 1]))}


def mutated(
    lm: LM,
    sequences: Sequence[Sequence[int]],
    triggers: Triggers,
    keys: Sequence[tuple[int, int]],
    examples: int,
    seed: int,
    max_tokens: int,
) -> pd.DataFrame:
    """Return, per key and removed token, the mean relative change of its response at the prefix's end, in percent.

    Cost: one pass over the distinct shortened prefixes, of which each key reads its own.
    """
    rng = random.Random(seed_for("ffn_memories", "removed", seed))
    wanted: dict[tuple[int, ...], list[tuple[int, int, str, float]]] = {}
    for layer, key in keys:
        for place in range(min(examples, triggers.sentences.shape[2])):
            prefix, before = (
                prefix_of(sequences, triggers, (layer, key), place),
                float(triggers.coefficients[layer, key, place]),
            )
            if len(prefix) < 2 or before <= 0:
                continue
            for name, at in zip(REMOVED, (0, len(prefix) - 1, rng.randrange(len(prefix))), strict=True):
                shorter = tuple(prefix[:at] + prefix[at + 1 :])
                wanted.setdefault(shorter, []).append((layer, key, name, before))
    texts, rows = list(wanted), []
    for seen in passes(lm, texts, max_tokens):
        for row, index in enumerate(seen.rows):
            last = len(texts[index]) - 1
            for layer, key, name, before in wanted[texts[index]]:
                after = float(seen.keys[layer][row, last, key])
                rows.append([layer, key, name, 100 * (after - before) / before])
    frame = pd.DataFrame(rows, columns=["layer", "key", "removed", "change"])
    return frame.groupby(["layer", "key", "removed"])["change"].agg(change="mean", examples="size").reset_index()


def agreements(lm: LM, sequences: Sequence[Sequence[int]], triggers: Triggers, projection: str) -> pd.DataFrame:
    """Return, per key, what its value predicts and whether its trigger examples go on that way.

    `agrees`: the value's best token is the next token of the best example; `agrees_last`: it is the example's own last
    token; `rank`: of that next token; `precision`: share of all trigger examples whose next token it is.
    """
    layers, width, top = triggers.sentences.shape
    padded = torch.nn.utils.rnn.pad_sequence([torch.tensor(ids) for ids in sequences], batch_first=True)
    following = padded[triggers.sentences, triggers.positions + 1]
    last = padded[triggers.sentences[:, :, 0], triggers.positions[:, :, 0]]
    rows = []
    for layer, found in enumerate(read_values(lm, projection, 1, following[:, :, 0])):
        best = found.top[:, 0]
        precision = (following[layer] == best[:, None]).double().mean(1)
        for key in range(width):
            token = int(best[key])
            line = [layer, key, lm.tokenizer.decode([token]).strip(), float(found.probability[key])]
            agrees = [int(token == int(following[layer, key, 0])), int(token == int(last[layer, key]))]
            rows.append([*line, *agrees, int(found.rank[key]), float(precision[key]), top])
    columns = ["layer", "key", "token", "probability", "agrees", "agrees_last", "rank", "precision", "examples"]
    log.info("values of %d layers read", layers)
    return pd.DataFrame(rows, columns=columns)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m papers.ffn_memories.read_keys", description=__doc__.split("\n")[0])
    add_corpus(parser)
    parser.add_argument("--top", type=int, default=50, help="trigger examples of a key (default: 50)")
    parser.add_argument("--annotated-keys", type=int, default=50, help="keys per layer for patterns")
    parser.add_argument("--mutated-keys", type=int, default=100, help="keys per layer for removed tokens")
    for name in ("triggers", "patterns", "mutations", "agreement"):
        parser.add_argument(f"--{name}", type=Path, required=True, help="file to write")
    return parser


def add_corpus(parser: argparse.ArgumentParser, *, needs_facts: bool = False) -> None:
    """Add the options of every program of this paper: model, corpus, facts (which only some need), machine."""
    parser.add_argument("--model", required=True, help="folder or hub id of a decoder")
    parser.add_argument("--corpus", type=Path, required=True, help="text, one document a line")
    parser.add_argument("--facts", type=Path, required=needs_facts, help="fact book that the text was made from")
    parser.add_argument("--sentences", type=int, default=4000, help="distinct sentences used")
    parser.add_argument("--skip", type=int, default=0, help="distinct sentences left out first")
    parser.add_argument("--projection", default="normed", help="normed (default) or plain")
    parser.add_argument("--max-tokens", type=int, default=4096, help="padded tokens of one pass")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", choices=["float32", "bfloat16", "float16"], default="float32")


def open_corpus(options: argparse.Namespace) -> tuple[LM, FactBook | None, list[Sentence], list[list[int]]]:
    """Return the model, the fact book if any, and the sentences with at least two tokens that fit the model."""
    device = runtime.start(options.threads, options.device)
    lm = load_lm(options.model, dtype=getattr(torch, options.dtype), device=device)
    book = FactBook.load(options.facts) if options.facts else None
    found = read_sentences(options.corpus, book, options.sentences, options.skip)
    pairs = [(sentence, encode(lm, sentence.text)[: lm.arch.n_positions]) for sentence in found]
    pairs = [(sentence, ids) for sentence, ids in pairs if len(ids) > 1]
    return lm, book, [sentence for sentence, _ in pairs], [ids for _, ids in pairs]


def write(path: Path, frame: pd.DataFrame) -> None:
    """Write a frame as CSV."""
    with atomic_path(path) as part:
        frame.to_csv(part, index=False, float_format="%.7g", lineterminator="\n")
    log.info("%d lines written to %s", len(frame), path)


@reported(log)
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    options = _parser().parse_args(arguments)
    lm, _, sentences, sequences = open_corpus(options)
    triggers = find_triggers(lm, sequences, options.top, options.max_tokens)
    triggers.save(options.triggers)
    size = (lm.arch.n_layers, lm.arch.d_mlp)
    keys = sampled(*size, options.annotated_keys, options.seed)
    write(options.patterns, pd.DataFrame(annotated(lm, sentences, sequences, triggers, keys, options.seed)))
    keys = sampled(*size, options.mutated_keys, options.seed)
    write(
        options.mutations,
        mutated(lm, sequences, triggers, keys, options.top, options.seed, options.max_tokens),
    )
    write(options.agreement, agreements(lm, sequences, triggers, options.projection))


if __name__ == "__main__":
    main()
