"""Search the z vectors of the cases of a file once, for every edit that will want them.

    python -m papers.memit.search --model results/models/world-small --dataset counterfact \\
        --cases results/data/counterfact.json --contexts contexts.json --settings '{"layers": [1, 2, 3]}' \\
        --out targets.safetensors

Of `--settings` only what a z depends on counts: the last of the layers, and how the search runs.
"""

import argparse
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import torch

from papers.memit.hyperparams import MemitHyperparams
from papers.memit.stored_targets import StoredTargets, made_from
from papers.memit.targets import Target, search_targets, wanted_targets
from shared import runtime
from shared.data.requests import EditRequest
from shared.editing.edit_cases import DATASETS
from shared.editing.runs import blocks_of
from shared.errors import ConfigError, EditingError
from shared.fit.contexts import in_contexts
from shared.model.models import LM, load_lm
from shared.records import read_json, write_json

log = logging.getLogger(__name__)


def search_settings(settings: dict[str, Any]) -> MemitHyperparams:
    """Return an editor's settings as far as its search for z depends on them.

    Raises:
        ConfigError: a setting is unknown or out of range.
    """
    try:
        return MemitHyperparams(**{"update_weight": 1} | settings)
    except TypeError as error:
        raise ConfigError(f"--settings: {error}") from error


def search_blocks(
    lm: LM,
    blocks: Sequence[Sequence[EditRequest]],
    hyperparams: MemitHyperparams,
    contexts: Sequence[str],
    max_tokens: int,
) -> StoredTargets:
    """Return the z vectors of requests, searched for block by block: shards of whole blocks change no number."""
    wanted, targets = [], []
    for requests in blocks:
        own = wanted_targets(requests)
        prompts = [in_contexts(lm, request, contexts, hyperparams.fact_token) for request in requests]
        targets += [Target.of(result) for result in search_targets(lm, own, prompts, hyperparams, max_tokens)]
        wanted += own
        log.info("%d z vectors found", len(targets))
    return StoredTargets.of(made_from(lm, hyperparams, contexts), wanted, targets)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m papers.memit.search", description=__doc__.split("\n")[0])
    parser.add_argument("--model", required=True, help="folder or hub id of the model")
    parser.add_argument("--dataset", choices=DATASETS, required=True, help="format of the cases")
    parser.add_argument("--cases", type=Path, required=True, help="file of cases")
    parser.add_argument("--first", type=int, help="only the first N cases of the file (default: all)")
    parser.add_argument("--contexts", type=Path, required=True, help="context templates, a JSON list")
    parser.add_argument("--settings", type=json.loads, required=True, help="JSON object of MEMIT's settings")
    parser.add_argument("--shard", default="1-of-1", help="which part of the cases, e.g. 2-of-8")
    parser.add_argument("--block", type=int, default=100, help="cases searched for together")
    parser.add_argument("--max-tokens", type=int, default=2048, help="padded tokens of one batch of the search")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", choices=["float32", "bfloat16", "float16"], default="float32")
    parser.add_argument("--out", type=Path, required=True, help="safetensors file to write")
    parser.add_argument("--seconds", type=Path, help="JSON file to write: how many z were found in how many seconds")
    return parser


def run(options: argparse.Namespace) -> StoredTargets:
    """Search as the command line says."""
    device = runtime.start(options.threads, options.device)
    hyperparams = search_settings(options.settings)
    cases = DATASETS[options.dataset][0](options.cases)[: options.first]
    blocks = blocks_of([case.request for case in cases], options.shard, options.block)
    lm = load_lm(options.model, dtype=getattr(torch, options.dtype), device=device)
    began = perf_counter()
    found = search_blocks(lm, blocks, hyperparams, read_json(options.contexts), options.max_tokens)
    if options.seconds:
        write_json(options.seconds, {"targets": len(found), "seconds": perf_counter() - began})
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    options = _parser().parse_args(arguments)
    try:
        found = run(options)
        found.save(options.out)
    except EditingError as error:
        log.error("%s", error)
        raise SystemExit(1) from None
    log.info("%d z vectors written to %s", len(found), options.out)


if __name__ == "__main__":
    main()
