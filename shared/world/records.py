"""Writing every raw file of the further model families from a world's fact book."""

import json
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from shared.errors import DataError
from shared.records import write_json, write_text
from shared.seeding import seed_for
from shared.world.cloze_records import pattern_lines, sentence_bags, trex_lines
from shared.world.dialogue import PARTS as TALK_PARTS
from shared.world.dialogue import Talk, dialogue_records
from shared.world.division import PARTS, Division, Part
from shared.world.documents import DocumentSampler
from shared.world.editing_records import claim_records, question_records
from shared.world.factbook import FactBook
from shared.world.scope_records import evidence_records, implications, statements

PASSAGE_WORDS = 50
TAUGHT: tuple[Part, ...] = ("train", "validation")


def write_records(book: FactBook, out: Path, passages: int) -> dict[str, int]:
    """Write the files to `out` and return the number of records in each.

    Args:
        book: a generated world.
        out: folder for the files.
        passages: number of passages for training; a quarter as many are for validation.

    Raises:
        DataError: a book that is no generated world, or one too small for each part to hold facts.
    """
    division = Division(book)
    if empty := [part for part in PARTS if not division.facts[part]]:
        raise DataError(f"world {book.name!r}: no facts in {', '.join(empty)}; use more people")
    files: dict[str, list[Any]] = {}
    for part in PARTS:
        files[f"zsre_{part}.jsonl"] = question_records(division, part)
        files[f"fever_{part}.jsonl"] = claim_records(division, part)
    for part in TAUGHT:
        files[f"vitaminc_{part}.jsonl"] = evidence_records(division, part)
    files["pararel_patterns.jsonl"] = pattern_lines(book)
    files["trex.jsonl"] = trex_lines(book)
    for name, records in files.items():
        write_text(out / name, _lines(json.dumps(record, ensure_ascii=False) for record in records))
    bags = sentence_bags(book)
    write_json(out / "bingrel.json", bags)
    implied = {part: implications(division, files[f"zsre_{part}.jsonl"]) for part in TAUGHT}
    for part, lists in implied.items():
        write_json(out / f"impl_{part}.json", lists)
    told = {part: dialogue_records(Talk(book), part) for part in TALK_PARTS}
    for part, records in told.items():
        write_json(out / f"convsent_{part}.json", records)
    texts = {
        **{f"zsre_yn_{part}.txt": statements(division, files[f"zsre_{part}.jsonl"]) for part in TAUGHT},
        "passages_train.txt": passage_lines(book, "train", passages),
        "passages_validation.txt": passage_lines(book, "validation", max(1, passages // 4)),
    }
    for name, lines in texts.items():
        write_text(out / name, _lines(lines))
    counts = {name: len(records) for name, records in (files | texts).items()}
    counts |= {f"impl_{part}.json": sum(map(len, lists)) for part, lists in implied.items()}
    counts |= {f"convsent_{part}.json": len(records) for part, records in told.items()}
    return counts | {"bingrel.json": sum(map(len, bags.values()))}


def passage_lines(book: FactBook, part: str, count: int) -> list[str]:
    """Return `count` passages of at least 50 words: articles about the world, one after the other."""
    sampler = DocumentSampler(book, random.Random(seed_for("passages", book.seed, part)))
    passages = []
    for _ in range(count):
        text = sampler.article().text
        while len(text.split()) < PASSAGE_WORDS:
            text = f"{text} {sampler.article().text}"
        passages.append(text)
    return passages


def _lines(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
