"""A digest of the code that a rule runs, so that changed algorithms rerun exactly what depends on them.

The workflow engine sees neither what `python -m papers.x.y` imports nor whether an edit changed more than a comment.
Rules therefore carry `params: code=code_digest("papers.x.y")`: the digest covers the module and all first-party modules
that it imports, directly or not, as syntax trees without docstrings. Comments, formatting, docstrings and modules that
are not imported leave it as it is. Imports by computed name are invisible to it: pass those modules by name as well.
"""

import ast
import functools
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from shared.errors import ConfigError

REPOSITORY = Path(__file__).resolve().parent.parent
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def code_digest(*modules: str, files: Sequence[str | Path] = (), root: str | Path = REPOSITORY) -> str:
    """Return 16 hexadecimal digits that change when the logic of `modules` or of their first-party imports changes.

    Args:
        modules: dotted names below `root`; a package stands for its `__init__` and, where it has one, its `__main__`.
        files: further files, relative to `root`, of which every byte counts, e.g. a table of constants.
        root: the folder that holds the first-party packages.

    Raises:
        ConfigError: if a module or file does not exist, so that a mistyped name cannot silence reruns.
    """
    root = Path(root)
    digest = hashlib.sha256()
    for name, path in sorted(closure(modules, root).items()):
        digest.update(f"{name}\n{_read(name, path, path.stat().st_mtime_ns).logic}\n".encode())
    for file in sorted(map(str, files)):
        if not (root / file).is_file():
            raise ConfigError(f"code_digest: no file {file} under {root}; correct the name in the rule's `params`")
        digest.update(file.encode() + b"\n" + (root / file).read_bytes())
    return digest.hexdigest()[:16]


def closure(modules: Sequence[str], root: str | Path = REPOSITORY) -> dict[str, Path]:
    """Return name and file of `modules`, of their packages, and of everything first-party that they import.

    Raises:
        ConfigError: if one of `modules` does not exist below `root`.
    """
    root = Path(root)
    rooms = {entry.stem for entry in root.iterdir()}
    found: dict[str, Path] = {}
    seen: set[str] = set()
    waiting = list(modules)
    for name in modules:
        if _file_of(name, root) is None:
            raise ConfigError(f"code_digest: no module {name} under {root}; correct the name in the rule's `params`")
        if _file_of(f"{name}.__main__", root):
            waiting.append(f"{name}.__main__")
    while waiting:
        name = waiting.pop()
        if name in seen or name.partition(".")[0] not in rooms:
            continue
        seen.add(name)
        path = _file_of(name, root)
        if path is None:
            continue
        found[name] = path
        waiting += _read(name, path, path.stat().st_mtime_ns).imports
        if "." in name:
            waiting.append(name.rpartition(".")[0])
    return found


def _file_of(name: str, root: Path) -> Path | None:
    stem = os.path.join(root, *name.split("."))
    for path in (f"{stem}.py", os.path.join(stem, "__init__.py")):
        if os.path.isfile(path):
            return Path(path)
    return None


class _Source(NamedTuple):
    """What a digest needs of a module: the names that it imports, and a digest of its syntax tree."""

    imports: tuple[str, ...]
    logic: str


@functools.cache
def _read(name: str, path: Path, modified_ns: int) -> _Source:
    """Parse a module, once for all digests that cover it; `modified_ns` only keys the cache."""
    tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    found: dict[str, None] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= dict.fromkeys(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            found |= dict.fromkeys(_brought(node, package))
        elif isinstance(node, _DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return _Source(tuple(found), hashlib.sha256(ast.dump(tree).encode()).hexdigest())


def _brought(node: ast.ImportFrom, package: str) -> list[str]:
    """Return the names that `from base import name` may bring: each may be a module as well as an attribute."""
    base = node.module or ""
    if node.level:
        parents = package.split(".")
        above = parents[: len(parents) - node.level + 1]
        base = ".".join([*above, *([node.module] if node.module else [])])
    return [base, *(f"{base}.{alias.name}" for alias in node.names)]
