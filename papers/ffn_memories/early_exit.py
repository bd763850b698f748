"""Stopping at the layer whose prediction has settled, told by which values are strong there (Geva et al. 2022, §6.2).

    python -m papers.ffn_memories.early_exit --model results/models/world-small --features features.safetensors \\
        --out early_exit.csv

Values are clustered by what they promote. A sentence's feature at a layer is the ordered list of the clusters of its
ten strongest values; two lists match in as many places as they agree. Going up the layers, a test sentence leaves at
the first layer at which it matches training sentences that settle there better, on average and at best, than it matches
those of every later layer. Beside it logistic regressions on the layer's states.
"""

import argparse
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from sklearn.cluster import AgglomerativeClustering
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from papers.ffn_memories.projection import project
from papers.ffn_memories.read_keys import write
from papers.ffn_memories.states import values_of
from shared import runtime
from shared.errors import DataError, reported
from shared.model.models import LM, load_lm
from shared.records import read_tensors

log = logging.getLogger(__name__)
SEEDS = (38, 39, 40, 41, 42)
PRECISION = 0.75


@torch.no_grad()
def cluster_values(lm: LM, how: str, count: int) -> Int[np.ndarray, "layer d_mlp"]:
    """Return the cluster of every value: complete linkage on the cosine distance of the values' scores for all tokens.

    Memory and time grow with the square of the number of values.
    """
    scores = torch.cat([project(lm, values_of(lm, layer), how) for layer in range(lm.arch.n_layers)])
    unit = torch.nn.functional.normalize(scores, dim=1)
    distance = (1 - unit @ unit.T).clamp(min=0).cpu().double().numpy()
    np.fill_diagonal(distance, 0)
    found = AgglomerativeClustering(min(count, len(distance)), metric="precomputed", linkage="complete")
    return found.fit_predict(distance).reshape(lm.arch.n_layers, -1)


def matches(
    lists: Int[np.ndarray, "sentence place"], others: Int[np.ndarray, "other place"]
) -> Float[np.ndarray, "sentence other"]:
    """Return in how many places each list agrees with each of the others."""
    found = np.zeros((len(lists), len(others)))
    for place in range(lists.shape[1]):
        found += lists[:, place, None] == others[None, :, place]
    return found


def leave(
    test: Int[np.ndarray, "layer sentence place"], train: Int[np.ndarray, "layer other place"], settled: np.ndarray
) -> Int[np.ndarray, " sentence"]:
    """Return the layer at which each test sentence leaves.

    Args:
        settled: layer where each training sentence's prediction settles.
    """
    last = len(test) - 1
    found = np.full(test.shape[1], last)
    waiting = np.ones(test.shape[1], bool)
    for layer in range(last):
        groups = {at: settled == at for at in range(layer, last + 1) if (settled == at).any()}
        if layer not in groups or len(groups) < 2:
            continue
        score = matches(test[layer], train[layer])
        best = {at: (score[:, own].max(1), score[:, own].mean(1)) for at, own in groups.items()}
        top, mean = (np.stack([best[at][part] for at in groups if at > layer]).max(0) for part in (0, 1))
        leaving = waiting & (best[layer][0] > top) & (best[layer][1] > mean)
        found[leaving] = layer
        waiting &= ~leaving
    return found


def leave_by_regression(
    states: Float[np.ndarray, "sentence layer feature"], settled: np.ndarray, parts: Sequence[np.ndarray]
) -> Int[np.ndarray, " sentence"]:
    """Return the layer at which each test sentence leaves by a logistic regression of each layer.

    Args:
        parts: indices of training, validation and test sentences. The threshold is the first of the validation's
            probabilities above which at least PRECISION of the sentences have settled; without one, nothing leaves.
    """
    train, validation, test = parts
    last = states.shape[1] - 1
    found = np.full(len(test), last)
    waiting = np.ones(len(test), bool)
    for layer in range(last):
        done = settled <= layer
        if done[train].all() or not done[train].any():
            continue
        scaler = StandardScaler().fit(states[train, layer])
        model = LogisticRegression(class_weight="balanced", max_iter=200)
        model.fit(scaler.transform(states[train, layer]), done[train])
        chance = [model.predict_proba(scaler.transform(states[own, layer]))[:, 1] for own in (validation, test)]
        order = np.argsort(-chance[0])
        precise = done[validation][order].cumsum() / np.arange(1, len(order) + 1) >= PRECISION
        if precise.any():
            leaving = waiting & (chance[1] > chance[0][order][precise.nonzero()[0][-1]])
            found[leaving] = layer
            waiting &= ~leaving
    return found


def compared(
    features: dict[str, torch.Tensor], clusters: np.ndarray, test_share: float, regressions: bool
) -> Iterator[dict]:
    """Yield, per seed and method, the share of right predictions and the layers saved.

    Raises:
        DataError: there are too few sentences to divide.
    """
    strongest, settled = features["strongest"].numpy(), features["settled"].numpy()
    predicted = features["predicted"].numpy()
    count, last = len(settled), predicted.shape[1] - 1
    if count * test_share < 2:
        raise DataError(f"{count} sentences leave {count * test_share:.1f} to test on; use more sentences")
    lists = np.stack([clusters[layer][strongest[:, layer]] for layer in range(last + 1)])
    states = {name: features[name].float().numpy() for name in ("residual", "ffn")}
    states["both"] = np.concatenate(list(states.values()), 2)
    for seed in SEEDS:
        order = np.random.default_rng(seed).permutation(count)
        tests = int(count * test_share)
        test, rest = order[:tests], order[tests:]
        exits = {"ours": leave(lists[:, test], lists[:, rest], settled[rest])}
        exits["saturation"] = settled[test]
        if regressions:
            parts = (rest[tests:], rest[:tests], test)
            exits |= {name: leave_by_regression(own, settled, parts) for name, own in states.items()}
        for name, layers in exits.items():
            right = predicted[test, layers] == predicted[test, last]
            yield {"method": name, "seed": seed, "accuracy": 100 * right.mean(), "saved": (last - layers).mean()}


@reported(log)
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m papers.ffn_memories.early_exit", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--model", required=True, help="folder or hub id of the decoder")
    parser.add_argument("--features", type=Path, required=True, help="written by papers.ffn_memories.aggregate")
    parser.add_argument("--clusters", type=int, default=200, help="clusters of values (default: 200)")
    parser.add_argument("--test-share", type=float, default=0.1, help="share of sentences tested on (default: 0.1)")
    parser.add_argument("--without-regressions", action="store_true", help="leave the baselines out")
    parser.add_argument("--projection", default="normed", help="normed (default) or plain")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, required=True, help="CSV to write")
    options = parser.parse_args(arguments)
    device = runtime.start(options.threads, options.device)
    lm = load_lm(options.model, device=device)
    clusters = cluster_values(lm, options.projection, options.clusters)
    lines = compared(read_tensors(options.features), clusters, options.test_share, not options.without_regressions)
    write(options.out, pd.DataFrame(lines))


if __name__ == "__main__":
    main()
