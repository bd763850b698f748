"""Collecting second moments of MLP keys over a text file, one document per line.

    python -m shared.fit.moments collect --model DIR --corpus FILE --layers all --max-documents 100000 --out FILE
    python -m shared.fit.moments merge SHARD SHARD … --out FILE

Documents are cut to the model's positions and get no token in front; with `--max-documents N` the first N of an order
shuffled by `random.Random(1)` are read, as in the authors' code. `--shard I/N` takes every N-th of them, for many jobs.
"""

import argparse
import hashlib
import itertools
import logging
import random
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from tqdm import tqdm

from shared.errors import ConfigError, DataError, EditingError
from shared.fit.second_moment import SecondMoments
from shared.model.forward import embed, pad_right, run_blocks, token_batches
from shared.model.hooks import capture
from shared.model.models import LM, Architecture, load_lm
from shared.model.tokens import encode
from shared.runtime import start

__all__ = ["SecondMoments", "collect", "digests", "main"]

log = logging.getLogger(__name__)
DOCUMENTS_PER_READ = 512
PRODUCT_TYPES = {"float32": torch.float32, "float64": torch.float64}
SITES = {"mlp": Architecture.mlp_out, "attention": Architecture.attention_out}


def digests(lm: LM) -> dict[str, str]:
    """Return SHA-256 digests of the model's weights and of its tokenizer.

    Cost: one pass over the weights, about a second per gigabyte.
    """
    weights = hashlib.sha256()
    for name, parameter in sorted(lm.model.named_parameters()):
        weights.update(f"{name} {tuple(parameter.shape)} {parameter.dtype}".encode())
        weights.update(parameter.detach().cpu().contiguous().view(torch.uint8).numpy())
    return {"model": weights.hexdigest(), "tokenizer": _text_digest(lm.tokenizer.backend_tokenizer.to_str())}


def _text_digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _scan(corpus: Path) -> tuple[str, int]:
    """Return the digest of the file and its number of lines."""
    if not corpus.is_file():
        raise DataError(f"{corpus}: no such corpus; expected a text file with one document per line")
    seen, lines = hashlib.sha256(), 0
    with open(corpus, "rb") as file:
        for line in file:
            seen.update(line)
            lines += 1
    return seen.hexdigest(), lines


def _documents(corpus: Path, wanted: set[int] | None) -> Iterator[str]:
    with open(corpus, encoding="utf-8") as file:
        for number, line in enumerate(file):
            if wanted is None or number in wanted:
                yield line.rstrip("\n")


def _choose(lines: int, max_documents: int | None, shard: tuple[int, int]) -> set[int] | None:
    """Return the line numbers of this shard, or None for all lines."""
    index, total = shard
    if not 0 <= index < total:
        raise ConfigError(f"shard {index}/{total} is out of range; expected I/N with 0 <= I < N")
    if max_documents is not None and max_documents < 1:
        raise ConfigError(f"max_documents is {max_documents}, expected at least 1")
    order = list(range(lines))
    if max_documents is not None and max_documents < lines:
        random.Random(1).shuffle(order)
        order = order[:max_documents]
    elif total == 1:
        return None
    return set(order[index::total])


@torch.no_grad()
def collect(
    lm: LM,
    corpus: str | Path,
    layers: Sequence[int],
    *,
    max_documents: int | None = None,
    max_length: int | None = None,
    shard: tuple[int, int] = (0, 1),
    precision: str = "float32",
    max_tokens: int = 4096,
    site: str = "mlp",
) -> SecondMoments:
    """Sum k kᵀ over every token of the corpus, for all `layers` in one pass (§3.1 and App. E.5 of ROME).

    Args:
        corpus: UTF-8 text, one document per line; empty lines are skipped.
        layers: layers whose output projections' inputs are the keys.
        max_documents: how many documents to read (all shards together), or None for all.
        max_length: tokens kept of each document; the model's positions if absent.
        shard: (index, total): which part of the documents this call takes.
        precision: type in which a batch's product is formed; sums are float64 in any case.
        max_tokens: bound on the padded tokens of one forward pass.
        site: which output projections, the MLPs' (`mlp`) or the attentions' (`attention`).

    Returns:
        the sums. They do not depend on the number of shards beyond rounding (1e-7 relative at float32).

    Raises:
        DataError: no corpus, or not a single token in it. ConfigError: a setting out of range.
    """
    corpus = Path(corpus)
    limit = lm.arch.n_positions if max_length is None else max_length
    if not 1 <= limit <= lm.arch.n_positions:
        raise ConfigError(f"max_length is {limit}, expected 1..{lm.arch.n_positions} (the model's positions)")
    if precision not in PRODUCT_TYPES:
        raise ConfigError(f"precision {precision!r} is unknown; choose one of {', '.join(PRODUCT_TYPES)}")
    if site not in SITES:
        raise ConfigError(f"site {site!r} is unknown; choose one of {', '.join(SITES)}")
    digest, lines = _scan(corpus)
    wanted = _choose(lines, max_documents, shard)
    sites = {str(layer): SITES[site](lm.arch, layer) for layer in layers}
    widths = {layer: lm.arch.in_features(sites[str(layer)]) for layer in layers}
    sums = {layer: torch.zeros(size, size, dtype=torch.float64, device=lm.device) for layer, size in widths.items()}
    count = 0
    bar = tqdm(total=lines if wanted is None else len(wanted), disable=not sys.stderr.isatty(), unit="doc")
    stream = _documents(corpus, wanted)
    while documents := list(itertools.islice(stream, DOCUMENTS_PER_READ)):
        texts = [ids for document in documents if (ids := encode(lm, document)[:limit])]
        for batch in token_batches([len(ids) for ids in texts], max_tokens):
            ids = pad_right([texts[i] for i in batch], lm.tokenizer.pad_token_id, lm.device)
            lengths = torch.tensor([len(texts[i]) for i in batch], device=lm.device)
            real = torch.arange(ids.shape[1], device=lm.device) < lengths[:, None]
            with capture(sites, inputs=True) as keys:
                run_blocks(lm, embed(lm, ids), range(max(layers) + 1))
            for layer in layers:
                rows = keys[str(layer)][real].to(PRODUCT_TYPES[precision])
                sums[layer] += rows.T @ rows
            count += int(real.sum())
        bar.update(len(documents))
    bar.close()
    made_from = digests(lm) | {
        "corpus": digest,
        "max_documents": "all" if max_documents is None else str(max_documents),
        "max_length": str(limit),
        "precision": precision,
        **({} if site == "mlp" else {"site": site}),
    }
    if not count:
        raise DataError(f"{corpus}: no document with a token in shard {shard[0]}/{shard[1]} of {lines} lines")
    return SecondMoments(
        {layer: total.cpu() for layer, total in sums.items()}, count, made_from, [f"{shard[0]}/{shard[1]}"]
    )


def _layers(texts: Sequence[str], n_layers: int) -> list[int]:
    if list(texts) == ["all"]:
        return list(range(n_layers))
    try:
        return sorted({int(text) for text in texts})
    except ValueError as error:
        raise ConfigError(f"--layers {' '.join(texts)}: expected `all` or layer numbers") from error


def _shard(text: str) -> tuple[int, int]:
    index, _, total = text.partition("/")
    if not (index.isdecimal() and total.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r}: expected I/N, such as 0/8")
    return int(index), int(total)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m shared.fit.moments", description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("collect", help="sum over a corpus, or one shard of it")
    run.add_argument("--model", required=True, help="folder of a checkpoint, or its hub id")
    run.add_argument("--corpus", required=True, type=Path, help="text file, one document per line")
    run.add_argument("--layers", nargs="+", default=["all"], help="`all` or layer numbers from 0")
    run.add_argument("--max-documents", type=int, help="how many documents are read; default: all")
    run.add_argument("--max-length", type=int, help="tokens kept of each document; default: the model's positions")
    run.add_argument("--shard", type=_shard, default=(0, 1), metavar="I/N", help="take every N-th document")
    run.add_argument("--precision", choices=sorted(PRODUCT_TYPES), default="float32", help="type of a batch's product")
    run.add_argument("--max-tokens", type=int, default=4096, help="padded tokens per forward pass")
    run.add_argument("--site", choices=sorted(SITES), default="mlp", help="whose output projections' inputs are keys")
    run.add_argument("--threads", type=int, default=1)
    run.add_argument("--device", default="cpu")
    join = commands.add_parser("merge", help="add the sums of disjoint shards")
    join.add_argument("shards", nargs="+", type=Path)
    for command in (run, join):
        command.add_argument("--out", required=True, type=Path, help="safetensors file to write")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "merge":
            parts = [SecondMoments.load(path, partial=True) for path in options.shards]
            moments = parts[0]
            for part in parts[1:]:
                moments = moments.merged(part)
        else:
            device = start(options.threads, options.device)
            lm = load_lm(options.model, device=device)
            moments = collect(
                lm,
                options.corpus,
                _layers(options.layers, lm.arch.n_layers),
                max_documents=options.max_documents,
                max_length=options.max_length,
                shard=options.shard,
                precision=options.precision,
                max_tokens=options.max_tokens,
                site=options.site,
            )
        moments.save(options.out)
    except EditingError as error:
        log.error("%s", error)
        return 1
    log.info("%s: layers %s, %d tokens", options.out, moments.layers, moments.count)
    return 0


if __name__ == "__main__":
    sys.exit(main())
