"""Arrange the records of a data set for mass edits: without conflicts, or in blocks by relation.

    python -m papers.memit.arrange --dataset counterfact --cases counterfact.json --out conflict_free.json
    python -m papers.memit.arrange --dataset counterfact --cases counterfact.json --size 300 --each-relation \\
        --mixtures '[["P27", "P37"], ["P413", "P1412"]]' --out blocks.json --index blocks.csv

Blocks follow each other in the file, so that the protocol `batch:<size>` edits each of them jointly. The index says
which block each case belongs to. Cases of an arrangement are numbered anew: a record may stand in several blocks.
"""

import argparse
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from papers.memit.conflicts import without_conflicts
from shared import runtime
from shared.data.requests import Case, read_counterfact, read_zsre
from shared.errors import ConfigError, EditingError
from shared.records import atomic_path, read_json, write_json

log = logging.getLogger(__name__)
READERS = {"counterfact": read_counterfact, "zsre": lambda path: read_zsre(path)[0]}
Record = Mapping[str, Any]


def conflict_free(records: Sequence[Record], cases: Sequence[Case], dataset: str) -> list[Record]:
    """Return the records whose cases can all be edited together: the first of each conflict stays.

    The authors' multi-CounterFact keeps one record of each conflict, too, and does not say which.
    """
    kept = {case.case_id for case in without_conflicts(cases)}
    dropped = {case.case_id for case in cases} - kept
    if dropped:
        log.info("%d records dropped, which contradict an earlier one", len(dropped))
    # A zsRE case is numbered by its place in the file.
    numbers = [record["case_id"] if dataset == "counterfact" else place for place, record in enumerate(records)]
    return [record for number, record in zip(numbers, records, strict=True) if number not in dropped]


def by_relation(records: Sequence[Record]) -> dict[str, list[Record]]:
    """Return CounterFact records by relation, in order of appearance."""
    groups: dict[str, list[Record]] = {}
    for record in records:
        groups.setdefault(record["requested_rewrite"]["relation_id"], []).append(record)
    return groups


def each_relation(records: Sequence[Record], size: int) -> dict[str, list[Record]]:
    """Return a block of the first `size` records for every relation that has as many.

    Raises:
        ConfigError: if none has.
    """
    groups = by_relation(records)
    blocks = {relation: members[:size] for relation, members in groups.items() if len(members) >= size}
    if not blocks:
        most = max(map(len, groups.values()), default=0)
        raise ConfigError(f"no relation has {size} records, the largest has {most}; ask for fewer")
    return blocks


def mixtures(records: Sequence[Record], pairs: Sequence[Sequence[str]], size: int) -> dict[str, list[Record]]:
    """Return, for each pair of relations, a block of each alone and one with equal parts of both.

    Raises:
        ConfigError: a relation has too few records, or the size is odd.
    """
    if size % 2:
        raise ConfigError(f"blocks of {size} records cannot hold equal parts of two relations; take an even size")
    groups, blocks = by_relation(records), {}
    for pair in pairs:
        for relation in pair:
            members = groups.get(relation, [])
            if len(members) < size:
                raise ConfigError(f"relation {relation} has {len(members)} records, a block needs {size}")
            blocks[relation] = members[:size]
        first, second = pair
        blocks[f"{first}+{second}"] = groups[first][: size // 2] + groups[second][: size // 2]
    return blocks


def write_blocks(blocks: Mapping[str, Sequence[Record]], out: Path, index: Path) -> int:
    """Write the blocks one after another, and a table of case, block and relation; return the number of cases."""
    records, lines = [], []
    for label, members in blocks.items():
        for record in members:
            case_id = len(records)
            records.append({**record, "case_id": case_id})
            lines.append({"case_id": case_id, "block": label, "relation": record["requested_rewrite"]["relation_id"]})
    write_json(out, records)
    with atomic_path(index) as part:
        pd.DataFrame(lines).to_csv(part, index=False, lineterminator="\n")
    return len(records)


def _arrange(options: argparse.Namespace) -> int:
    records = read_json(options.cases)
    records = conflict_free(records, READERS[options.dataset](options.cases), options.dataset)
    if options.size is None:
        write_json(options.out, records)
        return len(records)
    blocks = each_relation(records, options.size) if options.each_relation else {}
    if options.mixtures:
        blocks |= mixtures(records, options.mixtures, options.size)
    return write_blocks(blocks, options.out, options.index)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m papers.memit.arrange", description=__doc__.split("\n")[0])
    parser.add_argument("--dataset", choices=READERS, required=True, help="format of the records")
    parser.add_argument("--cases", type=Path, required=True, help="JSON array of records")
    parser.add_argument("--size", type=int, help="make blocks of so many records")
    parser.add_argument("--each-relation", action="store_true", help="a block of each relation with enough records")
    parser.add_argument("--mixtures", type=json.loads, help="JSON list of pairs of relations: each alone and both")
    parser.add_argument("--out", type=Path, required=True, help="JSON array to write")
    parser.add_argument("--index", type=Path, help="CSV of case and block to write")
    options = parser.parse_args(arguments)
    wanted = options.each_relation or bool(options.mixtures)
    if wanted != (options.size is not None):
        parser.error("blocks need --size, and --each-relation or --mixtures or both")
    if wanted and (options.dataset != "counterfact" or not options.index):
        parser.error("blocks are made of CounterFact records and need --index")
    runtime.start_logging()
    try:
        count = _arrange(options)
    except EditingError as error:
        log.error("%s", error)
        raise SystemExit(1) from None
    log.info("%d records written to %s", count, options.out)


if __name__ == "__main__":
    main()
