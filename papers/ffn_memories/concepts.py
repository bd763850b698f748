"""What values promote, as classes of tokens (Geva et al. 2022, §4).

In the paper people name concepts in each value's best tokens. Here a token's concept is its class in the world: the
type of the entities whose names hold it (`city`, `profession`, ...), or `words` for what is in no name. A value
promotes a concept if at least four of its 30 best tokens are of one class, and so many would be rare (one in a
thousand) among random tokens.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

import pandas as pd
import torch
from scipy.stats import binom

from papers.ffn_memories.projection import read_vectors
from papers.ffn_memories.states import values_of
from shared.model.models import LM
from shared.model.tokens import encode
from shared.seeding import seed_for
from shared.world.factbook import FactBook

WORDS, MIXED = "words", "mixed"
TOP, AT_LEAST, RARE = 30, 4, 1e-3


def token_classes(lm: LM, book: FactBook) -> list[str]:
    """Return the class of every token: the type of the entities it is a part of, `mixed` if several, or `words`."""
    types: dict[int, set[str]] = defaultdict(set)
    for entity in book.entities:
        for name in (entity.name, *entity.aliases):
            for token in (*encode(lm, name), *encode(lm, f" {name}")):
                types[token].add(entity.type)
    size = lm.arch.unembedding.weight.shape[0]
    return [WORDS if not types[at] else MIXED if len(types[at]) > 1 else next(iter(types[at])) for at in range(size)]


def concept_of(tokens: Sequence[int], classes: Sequence[str], usual: Mapping[str, float]) -> tuple[str, int]:
    """Return the class that most of the best tokens are of beyond chance, and how many; an empty name if there is none.

    Args:
        usual: share of the vocabulary in each class.
    """
    counts = Counter(classes[token] for token in tokens)
    for name, count in counts.most_common():
        if name != MIXED and count >= AT_LEAST and binom.sf(count - 1, len(tokens), usual[name]) < RARE:
            return name, count
    return "", 0


def read_concepts(lm: LM, book: FactBook, how: str, seed: int) -> Iterator[dict]:
    """Yield, for every value and for a random vector in its place, its best tokens' concept.

    A random vector has normal entries with the mean and standard deviation of its layer's values.
    """
    classes = token_classes(lm, book)
    usual = {name: count / len(classes) for name, count in Counter(classes).items()}
    for layer in range(lm.arch.n_layers):
        values = values_of(lm, layer)
        generator = torch.Generator().manual_seed(seed_for("ffn_memories", "random vectors", seed, layer) % 2**31)
        noise = torch.randn(values.shape, generator=generator).to(values) * values.std() + values.mean()
        for name, vectors in (("value", values), ("random", noise)):
            wanted = torch.full((len(vectors),), -1)
            found = read_vectors(lm, vectors, how, TOP, wanted)
            for key, tokens in enumerate(found.top.tolist()):
                concept, count = concept_of(tokens, classes, usual)
                shown = " ".join(lm.tokenizer.decode([token]).strip() for token in tokens[:10])
                line = {"layer": layer, "key": key, "vector": name, "concept": concept, "count": count}
                yield line | {"probability": float(found.probability[key]), "tokens": shown}


def best_values(frame: pd.DataFrame, concept: str, count: int) -> list[tuple[int, int]]:
    """Return layer and place of the values with most tokens of a concept among their best; of equals, sharper first."""
    own = frame[(frame["vector"] == "value") & (frame["concept"] == concept)]
    ranked = own.sort_values(["count", "probability"], ascending=False, kind="stable").head(count)
    return list(zip(ranked["layer"], ranked["key"], strict=True))


def random_values(layers: int, width: int, count: int, seed: int) -> list[tuple[int, int]]:
    """Return so many random values of all layers."""
    drawn = random.Random(seed_for("ffn_memories", "random values", seed)).sample(range(layers * width), count)
    return [divmod(at, width) for at in drawn]
