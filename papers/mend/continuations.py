"""What a decoder samples after beginnings of passages: the edits of the generation task (MEND, §5.1, Wikitext).

    python -m papers.mend.continuations --model results/models/world-small \\
        --passages results/data/passages_train.txt --out continuations.json

Several files of passages make as many files of continuations. They have the keys of the authors': `n_tokens`,
`original` (the beginnings) and `completions` (what follows them).
"""

import argparse
import logging
import random
from collections.abc import Sequence
from pathlib import Path

from shared import runtime
from shared.errors import ConfigError, DataError, reported
from shared.inference.generation import generate
from shared.model.models import LM, load_lm
from shared.model.tokens import encode
from shared.records import write_json
from shared.seeding import seed_for

log = logging.getLogger(__name__)
SHORTEST, LONGEST = 16, 40


def sample_continuations(
    lm: LM, passages: Sequence[str], *, n_tokens: int, top_k: int, seed: int
) -> dict[str, int | list[str]]:
    """Return beginnings of passages, 16 to 40 tokens long, and `n_tokens` sampled tokens after each.

    Raises:
        DataError: a passage has fewer tokens than the shortest beginning.
    """
    prompts = []
    for place, passage in enumerate(passages):
        ids = encode(lm, passage)
        if len(ids) < SHORTEST:
            raise DataError(f"passage {place} has {len(ids)} tokens, expected at least {SHORTEST}: {passage[:60]!r}")
        length = random.Random(seed_for("beginning", seed, place)).randint(SHORTEST, min(LONGEST, len(ids)))
        prompts.append(ids[:length])
    seeds = [seed_for("continuation", seed, place) for place in range(len(prompts))]
    texts = generate(lm, prompts, max_length=LONGEST + n_tokens, seeds=seeds, top_k=top_k)
    sampled = [text[len(prompt) : len(prompt) + n_tokens] for text, prompt in zip(texts, prompts, strict=True)]
    return {
        "n_tokens": n_tokens,
        "original": [lm.tokenizer.decode(prompt) for prompt in prompts],
        "completions": [lm.tokenizer.decode(ids) for ids in sampled],
    }


@reported(log)
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m papers.mend.continuations", description=__doc__.split("\n")[0])
    parser.add_argument("--model", required=True, help="folder or hub id of a decoder")
    parser.add_argument("--passages", type=Path, nargs="+", required=True, help="texts with one passage per line")
    parser.add_argument("--first", type=int, nargs="+", help="only the first N passages of each (default: all)")
    parser.add_argument("--tokens", type=int, default=10, help="sampled tokens (default: 10)")
    parser.add_argument("--top-k", type=int, default=50, help="tokens sampled from (default: 50)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, nargs="+", required=True, help="a file for each of --passages")
    options = parser.parse_args(arguments)
    counts = options.first or [None] * len(options.passages)
    if not len(counts) == len(options.passages) == len(options.out):
        raise ConfigError(
            f"{len(options.passages)} files of passages, {len(counts)} counts and {len(options.out)} files to write; "
            "give as many of each"
        )
    lm = load_lm(options.model, device=runtime.start(options.threads, options.device))
    for source, first, out in zip(options.passages, counts, options.out, strict=True):
        passages = source.read_text(encoding="utf-8").splitlines()[:first]
        made = sample_continuations(lm, passages, n_tokens=options.tokens, top_k=options.top_k, seed=options.seed)
        write_json(out, made)
        log.info("%d continuations written to %s", len(made["original"]), out)


if __name__ == "__main__":
    main()
