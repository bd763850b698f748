"""Cloze facts in the public files' formats: ParaRel's patterns and LAMA's T-REx pairs.

Each is one file for all relations, whose lines name theirs (`relation`, `predicate_id`), or a folder with a file
`<relation>.jsonl` each, as they are published.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.errors import DataError
from shared.records import read_jsonl


@dataclass(frozen=True)
class ClozeFact:
    """A subject (head), its object (tail), and `line`, the fact's place among its relation's lines from 0."""

    line: int
    subject: str
    answer: str


@dataclass(frozen=True)
class ClozeRelation:
    """A relation with its patterns, `[X]` for the subject and `[Y]` for the object, and its facts."""

    id: str
    patterns: tuple[str, ...]
    facts: tuple[ClozeFact, ...]


def read_relations(
    patterns: str | Path, facts: str | Path, *, min_patterns: int = 4, max_facts: int | None = None
) -> list[ClozeRelation]:
    """Return the relations that have facts and at least `min_patterns` patterns (§4.1), by id.

    Args:
        patterns: ParaRel's patterns, a file or a folder.
        facts: T-REx pairs, a file or a folder.
        max_facts: at most so many facts of a relation, spread evenly over its lines.

    Raises:
        DataError: a line lacks a field, a pattern lacks a slot, or no relation is left.
    """
    by_relation = _patterns(Path(patterns))
    pairs = _facts(Path(facts))
    found = [
        ClozeRelation(relation, tuple(by_relation[relation]), tuple(_spread(own, max_facts)))
        for relation, own in sorted(pairs.items())
        if len(by_relation.get(relation, ())) >= min_patterns
    ]
    if not found:
        raise DataError(
            f"{patterns} and {facts} have no relation in common with {min_patterns} patterns or more; "
            f"patterns are of {sorted(by_relation)}, facts of {sorted(pairs)}"
        )
    return found


def _lines(path: Path, key: str, fields: tuple[str, ...]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    files = sorted(path.glob("*.jsonl")) if path.is_dir() else [path]
    for file in files:
        for number, line in enumerate(read_jsonl(file), start=1):
            missing = [field for field in fields if not isinstance(line.get(field), str)]
            relation = line.get(key) or (file.stem if path.is_dir() else None)
            if missing or not relation:
                raise DataError(f"{file}, line {number}: no {', '.join(missing) or key}; expected {', '.join(fields)}")
            yield relation, line


def _patterns(path: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for relation, line in _lines(path, "relation", ("pattern",)):
        pattern = line["pattern"]
        if pattern.count("[X]") != 1 or pattern.count("[Y]") != 1:
            raise DataError(f"{path}, {relation}: pattern {pattern!r} needs one [X] and one [Y]")
        found[relation].append(pattern)
    return found


def _facts(path: Path) -> dict[str, list[ClozeFact]]:
    found: dict[str, list[ClozeFact]] = defaultdict(list)
    for relation, line in _lines(path, "predicate_id", ("sub_label", "obj_label")):
        found[relation].append(ClozeFact(len(found[relation]), line["sub_label"], line["obj_label"]))
    return found


def _spread(facts: list[ClozeFact], most: int | None) -> list[ClozeFact]:
    if most is None or len(facts) <= most:
        return facts
    return [facts[place * len(facts) // most] for place in range(most)]
