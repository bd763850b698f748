"""Test cases and the pool of demonstrations from one file of CounterFact's format.

The first records are tested, and all others or the next so many make the pool (Zheng et al. 2023, §4.1: 2,000 and
19,919 records), with their paraphrases cleaned. Each gets the questions of the contrastive assessment in the place of
its attribute prompts.
"""

import argparse
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from papers.ike.cleaning import clean_paraphrase
from papers.ike.contrasts import read_relations, related_relations
from shared import runtime
from shared.data.requests import read_counterfact
from shared.data.templates import fill
from shared.errors import DataError, reported
from shared.records import read_json, write_json
from shared.world.factbook import FactBook

log = logging.getLogger(__name__)


def prepared(record: dict[str, Any], wrong: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Return a raw record with its paraphrases cleaned and its wrong relations' prompts as attribute prompts.

    CounterFact's own attribute prompts enter no metric. A relation without wrong ones leaves none.
    """
    subject = record["requested_rewrite"]["subject"]
    contrasts = [fill(text, subject) for text in wrong.get(record["requested_rewrite"].get("relation_id"), ())]
    prompts = [clean_paraphrase(prompt, subject) for prompt in record["paraphrase_prompts"]]
    return {**record, "paraphrase_prompts": prompts, "attribute_prompts": contrasts}


def split(
    path: str | Path, tested: int, wrong: Mapping[str, Sequence[str]], pool_size: int | None = None
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the raw records that are tested and those of the pool.

    Args:
        tested: number of records, the first of the file.
        wrong: wrong templates by relation id, see `papers.ike.contrasts`.
        pool_size: records of the pool, those behind the tested ones; None takes all.

    Raises:
        DataError: a record is faulty, or too few are left for the pool.
    """
    count = len(read_counterfact(path))
    wanted = pool_size or 1
    if count < tested + wanted:
        raise DataError(
            f"{path}: {count} records, of which {tested} are to be tested: {max(count - tested, 0)} are left for "
            f"demonstrations, {wanted} or more are wanted"
        )
    end = None if pool_size is None else tested + pool_size
    records = [prepared(record, wrong) for record in read_json(path)[:end]]
    return records[:tested], records[tested:]


@reported(log)
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m papers.ike.split", description=__doc__.split("\n")[0])
    parser.add_argument("--cases", type=Path, required=True, help="a file in CounterFact's format")
    parser.add_argument("--tested", type=int, required=True, help="records tested, the first of the file")
    parser.add_argument(
        "--pool-size", type=int, help="records of the pool, those behind the tested ones; all if not given"
    )
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--relations", type=Path, help="the authors' relations.jsonl, for the contrastive assessment")
    source.add_argument("--facts", type=Path, help="a fact book to take wrong relations from")
    parser.add_argument("--out", type=Path, required=True, help="test cases, to write")
    parser.add_argument("--pool", type=Path, required=True, help="records of the demonstrations, to write")
    options = parser.parse_args(arguments)
    runtime.start_logging()
    wrong = read_relations(options.relations) if options.relations else {}
    if options.facts:
        wrong = related_relations(FactBook.load(options.facts))
    cases, pool = split(options.cases, options.tested, wrong, options.pool_size)
    write_json(options.out, cases)
    write_json(options.pool, pool)
    log.info("%d cases are tested, %d records make the pool", len(cases), len(pool))


if __name__ == "__main__":
    main()
