"""Files that are either whole or absent: atomic writers, and readers that name the place of a fault.

Every file that one rule hands to another goes through this module, so a killed process never leaves half a file under
its final name and a damaged file is reported with its path, its line and what to do.
"""

import contextlib
import errno
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from shared.errors import DataError, EditingError


@contextlib.contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` that takes the final name only when the block ends without an error.

    Raises:
        EditingError: if the disk is full; the final name is left as it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        with open(part, "rb") as written:
            os.fsync(written.fileno())
        os.replace(part, path)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise EditingError(
                f"{path}: the disk is full; nothing was written under this name. Free some space and run again"
            ) from error
        raise
    finally:
        part.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write `text` as UTF-8, all of it or nothing."""
    with atomic_path(path) as part:
        part.write_text(text, encoding="utf-8")


def write_json(path: str | Path, value: Any) -> None:
    """Write one JSON value, indented, with the mapping's own key order; NaN and infinities are refused."""
    write_text(path, _dumps(value, path, indent=2) + "\n")


def write_jsonl(path: str | Path, rows: Iterable[Mapping[str, Any]]) -> int:
    """Write one JSON object per line and return how many; `rows` may be a generator, and is never held as a whole."""
    count = 0
    with atomic_path(path) as part, open(part, "w", encoding="utf-8") as lines:
        for row in rows:
            lines.write(_dumps(row, path) + "\n")
            count += 1
    return count


def write_tensors(path: str | Path, tensors: Mapping[str, "torch.Tensor"], metadata: Mapping[str, str] | None = None):
    """Write named tensors as safetensors, with string metadata; tensors are stored contiguous and on the CPU."""
    # Most programs that read and write records need no torch, whose import takes a second.
    from safetensors.torch import save_file

    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with atomic_path(path) as part:
        save_file(whole, part, metadata=dict(metadata or {}))


def read_json(path: str | Path) -> Any:
    """Return the JSON value of a file.

    Raises:
        DataError: if the file is absent, empty, truncated or not JSON; the message gives line and column.
    """
    text = _read(path)
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(
            f"{path}: not valid JSON at line {error.lineno}, column {error.colno} ({error.msg}); "
            f"the file has {len(text)} characters. It may be truncated: delete it and run again"
        ) from error


def read_jsonl(path: str | Path) -> Iterator[dict[str, Any]]:
    """Yield the objects of a JSON-lines file, one per line.

    Raises:
        DataError: if the file is absent, or a line is not a JSON object; the message gives the line's number.
    """
    _require(path)
    with open(path, encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                row = json.loads(line)
            except json.JSONDecodeError as error:
                raise DataError(
                    f"{path}, line {number}: not valid JSON ({error.msg}, column {error.colno}). "
                    "The file may be truncated: delete it and run again"
                ) from error
            if not isinstance(row, dict):
                raise DataError(f"{path}, line {number}: got a JSON {type(row).__name__}, expected an object")
            yield row


def read_tensors(path: str | Path) -> dict[str, "torch.Tensor"]:
    """Return the tensors of a safetensors file, on the CPU.

    Raises:
        DataError: if the file is absent, truncated or not safetensors.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    _require(path)
    try:
        return load_file(path)
    except SafetensorError as error:
        raise DataError(f"{path}: not a readable safetensors file ({error}); delete it and run again") from error


def _dumps(value: Any, path: str | Path, indent: int | None = None) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent)
    except ValueError as error:
        raise DataError(f"{path}: a value to be written is not finite ({error}): {str(value)[:200]}") from error


def _read(path: str | Path) -> str:
    _require(path)
    text = Path(path).read_text(encoding="utf-8")
    if not text.strip():
        raise DataError(f"{path}: the file is empty; delete it and run again")
    return text


def _require(path: str | Path) -> None:
    if not Path(path).is_file():
        raise DataError(f"{path}: no such file; the rule that writes it has not run, or the path is mistyped")
