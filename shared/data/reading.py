"""Raw record files: read whole, checked record by record, refused with the place of the fault."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from shared.errors import DataError

Schema = TypeVar("Schema", bound=BaseModel)


def _parse(path: Path, text: str, first_line: int = 1, first_byte: int = 0) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        byte = first_byte + len(text[: error.pos].encode())
        ends_early = len(text[error.pos :].strip()) < 5 or error.msg.startswith("Unterminated string")
        state = "ends in the middle of a record" if ends_early else f"is not valid JSON ({error.msg})"
        raise DataError(
            f"{path}: {state} at line {first_line + error.lineno - 1}, byte {byte}; "
            "expected complete JSON: delete the file and fetch it again"
        ) from error


def load_records(path: str | Path) -> list[Any]:
    """Return the records of a JSON array file, or of a `.jsonl` file with one JSON value per line.

    Raises:
        DataError: the file is missing, empty, truncated, not UTF-8, not JSON, or one JSON object in place of a list.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); fetch it or correct the path") from error
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: byte {error.start} is not UTF-8; expected a JSON text file: fetch it again"
        ) from error
    if not text.strip():
        raise DataError(f"{path}: the file is empty; expected a list of records: fetch it again")
    if path.suffix != ".jsonl":
        records = _parse(path, text)
        if not isinstance(records, list):
            raise DataError(
                f"{path}: got a JSON {type(records).__name__} at the top, expected a list of records; "
                "name the file .jsonl if it holds one record per line"
            )
        return records
    records, byte = [], 0
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            records.append(_parse(path, line, first_line=number, first_byte=byte))
        byte += len(line.encode()) + 1
    return records


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:117]}..."


def _explain(error: ValidationError) -> str:
    """Return field, got and expected of the first thing wrong."""
    first = error.errors(include_url=False)[0]
    field = ".".join(str(part) for part in first["loc"])
    where = f"field {field}: " if field else ""
    if first["type"] == "missing":
        return f"{where}missing, expected a value"
    if first["type"] == "extra_forbidden":
        return f"{where}unknown field with value {_shown(first['input'])}, expected only the documented ones"
    if first["type"] == "value_error":
        return f"{where}{first['ctx']['error']}"
    return f"{where}got {_shown(first['input'])}, expected: {first['msg']}"


def read_records(path: str | Path, schema: type[Schema], id_field: str = "case_id") -> list[Schema]:
    """Read a JSON array or `.jsonl` file and check each record against a pydantic model.

    Args:
        path: the file.
        schema: what each record must look like.
        id_field: the field that names a record in error messages.

    Raises:
        DataError: naming file, position, id and field of the first bad record, and what was expected.
    """
    checked = []
    for index, record in enumerate(load_records(path)):
        name = record.get(id_field) if isinstance(record, dict) else None
        where = f"{path}: record {index}" + ("" if name is None else f" ({id_field} {name})")
        if not isinstance(record, dict):
            raise DataError(f"{where}: got {_shown(record)}, expected a JSON object; is this the right file?")
        checked.append(check_record(record, schema, where))
    return checked


def check_record(record: Mapping[str, Any], schema: type[Schema], where: str) -> Schema:
    """Check one record against a pydantic model.

    Args:
        where: what the record is called in a message.

    Raises:
        DataError: naming the first bad field, and what was expected.
    """
    try:
        return schema.model_validate(dict(record))
    except ValidationError as error:
        raise DataError(f"{where}, {_explain(error)}; correct or remove this record") from error


def refuse_duplicates(path: str | Path, ids: Iterable[int], id_field: str = "case_id") -> None:
    """Check that no two records of a file have the same number.

    Raises:
        DataError: naming both records.
    """
    seen: dict[int, int] = {}
    for index, number in enumerate(ids):
        if number in seen:
            raise DataError(
                f"{path}: record {index}, field {id_field}: {number} is already that of record {seen[number]}; "
                "expected a different number for each record"
            )
        seen[number] = index
