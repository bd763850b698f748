"""The memory of edits on disk: a log to which additions and removals are appended, each of them safe once acknowledged.

A change is one line, written in one piece behind the last whole line and flushed to the disk before `add` or `remove`
returns. A process that is killed while it writes leaves at most an unfinished last line, which was never acknowledged
and which the next writer cuts off.
"""

import fcntl
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from papers.serac.descriptor import Descriptor
from shared.errors import ConfigError, DataError
from shared.records import atomic_path

NEWLINE = b"\n"


class EditMemory:
    """Edits by number, in the order in which they were added.

    Args:
        path: the log; it is made by the first addition. Several processes may share it: writers wait for one another.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)

    def edits(self) -> dict[int, Descriptor]:
        """Return the edits that are held, by number.

        Raises:
            DataError: a whole line of the log is none of this class's.
        """
        return _replayed(self.path, self.path.read_bytes() if self.path.exists() else b"")

    def add(self, edits: Iterable[Descriptor]) -> list[int]:
        """Add edits together and return their numbers; after a kill either all of them are held or none.

        Raises:
            DataError: an edit without an input.
        """
        edits = list(edits)
        if empty := [edit for edit in edits if not edit.source.strip()]:
            raise DataError(f"edit to {empty[0].target!r} has an empty input; expected at least one character")
        with self._locked() as log:
            first = self._next_number(log)
            numbers = list(range(first, first + len(edits)))
            added = [[number, edit.source, edit.target] for number, edit in zip(numbers, edits, strict=True)]
            _append(log, {"add": added})
        return numbers

    def remove(self, numbers: Iterable[int]) -> None:
        """Remove edits.

        Raises:
            ConfigError: a number that is not held; nothing is removed then.
        """
        numbers = list(numbers)
        with self._locked() as log:
            held = _replayed(self.path, _whole(log))
            if missing := [number for number in numbers if number not in held]:
                raise ConfigError(f"{self.path}: no edit {missing[0]}; it holds {len(held)} edits, see `list`")
            _append(log, {"remove": numbers})

    def compact(self) -> None:
        """Write the log anew with nothing but the edits that are held; numbers stay, and none is ever given twice."""
        with self._locked() as log:
            whole = _whole(log)
            added = [[number, edit.source, edit.target] for number, edit in _replayed(self.path, whole).items()]
            line = {"add": added, "next": self._next_number(log)}
            with atomic_path(self.path) as part:
                part.write_bytes(json.dumps(line, ensure_ascii=False).encode() + NEWLINE)

    @contextmanager
    def _locked(self) -> Iterator[int]:
        """Open the log for one writer at a time; a log that was compacted meanwhile is opened again."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        while True:
            log = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                fcntl.flock(log, fcntl.LOCK_EX)
                if os.fstat(log).st_ino == os.stat(self.path).st_ino:
                    yield log
                    return
            finally:
                os.close(log)

    def _next_number(self, log: int) -> int:
        lines = [json.loads(line) for line in _whole(log).splitlines()]
        given = [number + 1 for line in lines for number, *_ in line.get("add", [])]
        return max([0, *given, *(line["next"] for line in lines if "next" in line)])


def _whole(log: int) -> bytes:
    """Return the log up to its last whole line."""
    content = os.pread(log, os.fstat(log).st_size, 0)
    return content[: content.rfind(NEWLINE) + 1]


def _append(log: int, change: dict) -> None:
    end = len(_whole(log))
    os.ftruncate(log, end)
    line = json.dumps(change, ensure_ascii=False).encode() + NEWLINE
    written = 0
    while written < len(line):
        written += os.pwrite(log, line[written:], end + written)
    os.fsync(log)


def _replayed(path: Path, content: bytes) -> dict[int, Descriptor]:
    held: dict[int, Descriptor] = {}
    for number, line in enumerate(content[: content.rfind(NEWLINE) + 1].splitlines(), start=1):
        try:
            change = json.loads(line)
            for key, source, target in change.get("add", []):
                held[key] = Descriptor(source, target)
            for key in change.get("remove", []):
                del held[key]
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise DataError(
                f"{path}, line {number}: no change of a memory of edits ({error}); restore the file"
            ) from error
    return held
