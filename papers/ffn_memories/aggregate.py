"""How layers build predictions, sentence by sentence: `python -m papers.ffn_memories.aggregate --help`.

Writes means over sentences by layer with their intervals, one line per saturation or elimination event, and, for early
exit, each sentence's strongest values by layer with the layer where its prediction settles.
"""

import argparse
import logging
import random
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from papers.ffn_memories.aggregation import DOMINANT, Values, at, find_events, layer_lines, sub_update_scores
from papers.ffn_memories.projection import project
from papers.ffn_memories.read_keys import add_corpus, open_corpus, write
from papers.ffn_memories.states import passes
from shared.errors import reported
from shared.measures.intervals import mean_intervals
from shared.model.models import LM
from shared.records import write_tensors
from shared.seeding import seed_for

log = logging.getLogger(__name__)
QUANTILES = {"low_quarter": 25, "median": 50, "high_quarter": 75}


def aggregate(
    lm: LM, sequences: Sequence[Sequence[int]], how: str, seed: int, max_tokens: int
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, torch.Tensor]]:
    """Return the lines by layer, those by event, and the tensors that early exit needs.

    Memory: one number per sentence, layer and column, and ten values per sentence and layer.
    """
    values = Values.of(lm, how)
    columns: dict[tuple[int, str], list[np.ndarray]] = defaultdict(list)
    events, stored = [], defaultdict(list)
    for number, seen in enumerate(passes(lm, sequences, max_tokens)):
        drawn = [
            random.Random(seed_for("ffn_memories", "position", seed, row)).randrange(len(sequences[row]) - 1)
            for row in seen.rows
        ]
        places = at(seen, torch.tensor(drawn, device=lm.device))
        for layer, found in layer_lines(lm, places, values, how):
            for name, own in found.items():
                columns[layer, name].append(own.double().cpu().numpy())
        happened = find_events(lm, places, how)
        kinds = {
            "saturation": (happened.saturation, happened.token),
            "elimination": (happened.elimination, happened.eliminated),
        }
        for kind, (layers, tokens) in kinds.items():
            own_seed = seed_for("ffn_memories", kind, seed, number) % 2**31
            for line in sub_update_scores(lm, places, values, layers, tokens, own_seed):
                events.append({"event": kind, **line})
        stored["rows"].append(torch.tensor(seen.rows))
        stored["settled"].append(happened.settled.cpu())
        strongest = [keys.topk(min(DOMINANT, keys.shape[1]), 1).indices for keys in places.keys]
        stored["strongest"].append(torch.stack(strongest, 1).int().cpu())
        tops = [project(lm, one, how).argmax(-1) for one in places.after]
        stored["predicted"].append(torch.stack(tops, 1).int().cpu())
        for name, part in (
            ("residual", [a - m for a, m in zip(places.after, places.mlp, strict=True)]),
            ("ffn", places.mlp),
        ):
            stored[name].append(torch.stack(part, 1).half().cpu())
    return _by_layer(columns), pd.DataFrame(events), {name: torch.cat(parts) for name, parts in stored.items()}


def _by_layer(columns: dict[tuple[int, str], list[np.ndarray]]) -> pd.DataFrame:
    rows = []
    for (layer, name), parts in columns.items():
        own = np.concatenate(parts)
        [found] = mean_intervals(own[:, None])
        spread = [float(np.percentile(own, at)) for at in QUANTILES.values()]
        rows.append([layer, name, found.mean, found.low, found.high, found.n, *spread])
    return pd.DataFrame(rows, columns=["layer", "metric", "value", "low", "high", "n", *QUANTILES])


@reported(log)
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m papers.ffn_memories.aggregate", description=__doc__.split("\n")[0])
    add_corpus(parser)
    for name in ("layers", "events", "features"):
        parser.add_argument(f"--{name}", type=Path, required=True, help="file to write")
    options = parser.parse_args(arguments)
    lm, _, _, sequences = open_corpus(options)
    layers, events, features = aggregate(lm, sequences, options.projection, options.seed, options.max_tokens)
    write(options.layers, layers)
    write(options.events, events)
    write_tensors(options.features, features)


if __name__ == "__main__":
    main()
