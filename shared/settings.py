"""Settings that fail early and say where: a check against a schema, with file, key and what would be right."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator, ValidationError

from shared.errors import ConfigError


def read_yaml(path: str | Path) -> Any:
    """Return the value of a YAML file.

    Raises:
        ConfigError: if the file is absent or not YAML.
    """
    try:
        return yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such file") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {error}") from error


def check_settings(settings: Mapping[str, Any], schema: str | Path, sources: Sequence[str | Path]) -> None:
    """Check `settings` against a JSON schema, reporting every fault at once.

    Args:
        settings: the merged settings of a run or of one paper.
        schema: the schema's YAML file.
        sources: the files that the settings were merged from, the strongest last; the one with a faulty key is named.

    Raises:
        ConfigError: if a key is unknown or missing, or a value has the wrong type or range.
    """
    rules = read_yaml(schema)
    faults = sorted(Draft202012Validator(rules).iter_errors(settings), key=lambda fault: list(map(str, fault.path)))
    if faults:
        contents = {str(source): read_yaml(source) for source in sources}
        lines = [line for fault in faults for line in _explain(fault, contents)]
        raise ConfigError("\n  ".join(["the settings of this run cannot be used:", *lines, f"(schema: {schema})"]))


def _explain(fault: ValidationError, contents: Mapping[str, Any]) -> Iterator[str]:
    path = [str(part) for part in fault.absolute_path]
    if fault.validator == "additionalProperties":
        known = sorted(fault.schema.get("properties", {}))
        for key in sorted(set(fault.instance) - set(known)):
            yield f"{_holder(contents, [*path, key])}: unknown key {'.'.join([*path, key])!r}; known keys: {known}"
        return
    if fault.validator == "required":
        yield f"{_holder(contents, path)}: in {'.'.join(path) or 'the top level'}: {fault.message}"
        return
    meaning = fault.schema.get("description")
    hint = f" ({meaning})" if meaning else ""
    yield f"{_holder(contents, path)}: {'.'.join(path)}: {fault.message}{hint}"


def _holder(contents: Mapping[str, Any], path: Sequence[str]) -> str:
    holding = [name for name, content in contents.items() if _has(content, path)]
    return holding[-1] if holding else " and ".join([*contents, "the command line (--config)"])


def _has(content: Any, path: Sequence[str]) -> bool:
    for key in path:
        if isinstance(content, Mapping) and key in content:
            content = content[key]
        elif isinstance(content, list) and key.isdigit() and int(key) < len(content):
            content = content[int(key)]
        else:
            return False
    return True
