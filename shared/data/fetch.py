"""Raw data under their final name only when whole: from a local mirror, or downloaded with resume, retry and checksum.

`data/registry.tsv` pins each public file. `EDITING_DATA_MIRROR=<folder>` makes a file of the same name in that folder
the first choice, so that a machine without a network can run everything.
"""

import argparse
import csv
import hashlib
import json
import logging
import os
import shutil
import time
import zipfile
from dataclasses import dataclass, fields
from pathlib import Path

import requests
from tqdm import tqdm

from shared import runtime
from shared.errors import DataError, reported
from shared.records import atomic_path

logger = logging.getLogger(__name__)

REGISTRY = Path("data/registry.tsv")
# What a broken connection costs at most: the bytes of an unfinished chunk are not kept.
CHUNK_BYTES = 1 << 16
TIMEOUT_SECONDS = 60
# Larger JSON files are checked at their two ends only: parsing one takes several times its size in memory.
PARSED_BYTES = 200_000_000


@dataclass(frozen=True)
class Entry:
    """One line of the registry; "-" says that nobody has pinned `sha256` or `bytes`, or that there is no `member`."""

    name: str
    file: str
    url: str
    sha256: str
    bytes: str
    member: str
    licence: str
    used_by: str
    note: str


def read_registry(path: str | Path = REGISTRY) -> dict[str, Entry]:
    """Return the registry's entries by name.

    Raises:
        DataError: if a column or a field is missing, or a name or file appears twice.
    """
    with open(path, newline="", encoding="utf-8") as lines:
        reader = csv.DictReader(lines, delimiter="\t")
        columns = [field.name for field in fields(Entry)]
        if reader.fieldnames != columns:
            raise DataError(f"{path}: columns are {reader.fieldnames}, expected {columns}")
        rows = list(reader)
    entries = {}
    for number, row in enumerate(rows, start=2):
        if None in row.values() or not all(row.values()):
            raise DataError(f"{path}, line {number}: a field is empty; write '-' where there is nothing to say")
        if row["name"] in entries or row["file"] in {entry.file for entry in entries.values()}:
            raise DataError(f"{path}, line {number}: name {row['name']!r} or file {row['file']!r} appears twice")
        entries[row["name"]] = Entry(**row)
    return entries


def fetch(entry: Entry, out: str | Path, *, mirror: str | Path | None = None, attempts: int = 4, pause: float = 2.0):
    """Bring one registered file to `out`, verified.

    Args:
        entry: the registry's line.
        out: the final path; a partial download stays beside it as `<name>.part`, and the next call goes on from there.
        mirror: a folder whose file of the same name is taken instead of the network, if it is there.
        attempts: how often a broken connection is tried again, with a growing pause.
        pause: seconds before the second attempt; doubled before each later one.

    Raises:
        DataError: if the file cannot be had, is truncated, or has another checksum than the registry's.
    """
    out = Path(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    local = Path(mirror) / entry.file if mirror else None
    if local and local.is_file():
        logger.info("%s: taken from the mirror %s", entry.name, local)
        _check(local, entry)
        with atomic_path(out) as whole:
            shutil.copyfile(local, whole)
        return
    part = out.with_name(out.name + ".part")
    archive = Path(entry.url).name if entry.member != "-" else entry.file
    _download(entry, part, attempts, pause)
    try:
        _check(part, entry, archive=archive)
        if entry.member != "-":
            _extract(part, entry, out)
        else:
            os.replace(part, out)
    finally:
        # Whatever failed its checks must not be resumed by the next attempt.
        part.unlink(missing_ok=True)


def provide(source: str | Path, out: str | Path) -> None:
    """Place a file that is already on this machine at `out`, checked for truncation, without copying where possible.

    Raises:
        DataError: if the file is absent, empty, or a JSON file that does not parse.
    """
    source, out = Path(source), Path(out)
    if not source.is_file():
        raise DataError(f"{source}: no such file; correct the path under `data` in the config")
    _check_form(source, source.suffix)
    with atomic_path(out) as part:
        try:
            os.link(source.resolve(), part)
        except OSError:
            # Another file system, or one without hard links.
            shutil.copyfile(source, part)


def _download(entry: Entry, part: Path, attempts: int, pause: float) -> None:
    for attempt in range(1, attempts + 1):
        try:
            _continue_download(entry, part)
            return
        except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
            if attempt == attempts:
                raise DataError(
                    f"{entry.name}: {entry.url} could not be fetched in {attempts} attempts ({error}). "
                    f"Run again to go on from {part}, or put {entry.file} into a folder and set "
                    "EDITING_DATA_MIRROR to it"
                ) from error
            seconds = pause * 2 ** (attempt - 1)
            logger.warning("%s: attempt %d broke off (%s); next in %g s", entry.name, attempt, error, seconds)
            time.sleep(seconds)


def _continue_download(entry: Entry, part: Path) -> None:
    done = part.stat().st_size if part.exists() else 0
    if entry.bytes != "-" and done == int(entry.bytes):
        return
    headers = {"Range": f"bytes={done}-"} if done else {}
    with requests.get(entry.url, headers=headers, stream=True, timeout=TIMEOUT_SECONDS) as answer:
        if answer.status_code == requests.codes.requested_range_not_satisfiable:
            # The part is as long as the file or longer: the checks that follow decide which.
            return
        if not answer.ok:
            raise DataError(
                f"{entry.name}: {entry.url} answered {answer.status_code} {answer.reason}. Get {entry.file} another "
                "way, put it into a folder and set EDITING_DATA_MIRROR to that folder"
            )
        # A server that ignores the range sends the whole file again.
        resumed = answer.status_code == requests.codes.partial_content
        left = int(answer.headers.get("Content-Length", 0))
        start = done if resumed else 0
        shown = {"total": start + left or None, "initial": start, "unit": "B", "unit_scale": True, "disable": None}
        with open(part, "ab" if resumed else "wb") as out, tqdm(desc=entry.file, **shown) as bar:
            for chunk in answer.iter_content(CHUNK_BYTES):
                out.write(chunk)
                bar.update(len(chunk))
        size = part.stat().st_size
        if left and size < start + left:
            raise requests.ConnectionError(f"connection closed at byte {size} of {start + left}")


def _check(path: Path, entry: Entry, archive: str | None = None) -> None:
    size = path.stat().st_size
    if entry.bytes != "-" and size != int(entry.bytes):
        raise DataError(
            f"{entry.name}: {path} has {size} bytes, expected {entry.bytes}; it is truncated or another version. "
            "Delete it and fetch again, or correct the file in the mirror"
        )
    digest = _sha256(path)
    if entry.sha256 == "-":
        logger.warning("%s: no sha256 is pinned; got %s, %d bytes: checked for form only", entry.name, digest, size)
    elif digest != entry.sha256:
        raise DataError(
            f"{entry.name}: {path} has sha256 {digest}, expected {entry.sha256} (data/registry.tsv); it is damaged or "
            "another version. Delete it and fetch again, or correct the file in the mirror"
        )
    _check_form(path, Path(archive or entry.file).suffix)


def _check_form(path: Path, suffix: str) -> None:
    size = path.stat().st_size
    if size == 0:
        raise DataError(f"{path}: the file is empty")
    if suffix == ".json":
        _check_json(path, size)
    elif suffix == ".zip" and not zipfile.is_zipfile(path):
        raise DataError(f"{path}: not a readable zip archive; it is truncated or another file")


def _check_json(path: Path, size: int) -> None:
    with open(path, "rb") as file:
        if size <= PARSED_BYTES:
            try:
                json.load(file)
            except ValueError as error:
                raise DataError(f"{path}: not valid JSON ({error}); it is truncated or another file") from error
            return
        first = file.read(64).strip()[:1]
        file.seek(-64, os.SEEK_END)
        last = file.read().strip()[-1:]
    if (first, last) not in {(b"[", b"]"), (b"{", b"}")}:
        raise DataError(f"{path}: begins with {first!r} and ends with {last!r}: not whole JSON; it is truncated")


def _extract(archive: Path, entry: Entry, out: Path) -> None:
    with zipfile.ZipFile(archive) as whole, atomic_path(out) as part:
        if entry.member not in whole.namelist():
            raise DataError(f"{entry.name}: {entry.url} holds no {entry.member}; it holds {whole.namelist()[:8]}")
        with whole.open(entry.member) as source, open(part, "wb") as target:
            shutil.copyfileobj(source, target, CHUNK_BYTES)


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@reported(logger)
def main(arguments: list[str] | None = None) -> None:
    """Run the command line: `registry NAME --out FILE` fetches, `local FILE --out FILE` places a file one has."""
    parser = argparse.ArgumentParser(prog="python -m shared.data.fetch", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    registered = commands.add_parser("registry", help="fetch a file that the registry pins")
    registered.add_argument("name", help="a name of the registry")
    registered.add_argument("--registry", type=Path, default=REGISTRY)
    local = commands.add_parser("local", help="check and place a file that is on this machine")
    local.add_argument("source", type=Path)
    for command in (registered, local):
        command.add_argument("--out", type=Path, required=True)
    chosen = parser.parse_args(arguments)
    runtime.start_logging()
    if chosen.command == "local":
        provide(chosen.source, chosen.out)
        return
    entries = read_registry(chosen.registry)
    if chosen.name not in entries:
        raise DataError(f"{chosen.registry}: no entry {chosen.name!r}; the registry has {sorted(entries)}")
    fetch(entries[chosen.name], chosen.out, mirror=os.environ.get("EDITING_DATA_MIRROR"))


if __name__ == "__main__":
    main()
