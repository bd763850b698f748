"""A digest of the code that a rule runs, so that changed algorithms rerun exactly what depends on them.

The workflow engine sees neither what `python -m papers.x.y` imports nor whether an edit changed more than a comment.
Rules therefore carry `params: code=code_digest("papers.x.y")`: the digest covers the module and all first-party modules
that it imports, directly or not, as syntax trees without docstrings. Comments, formatting, docstrings and modules that
are not imported leave it as it is. Imports by computed name are invisible to it: pass those modules by name as well.
"""

import ast
import functools
import hashlib
from collections.abc import Sequence
from pathlib import Path

from shared.errors import ConfigError

REPOSITORY = Path(__file__).resolve().parent.parent


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
        digest.update(f"{name}\n{_logic(path, path.stat().st_mtime_ns)}\n".encode())
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
        if name in seen:
            continue
        seen.add(name)
        path = _file_of(name, root)
        if path is None:
            continue
        found[name] = path
        waiting += _imports(name, path, path.stat().st_mtime_ns)
        if "." in name:
            waiting.append(name.rpartition(".")[0])
    return found


def _file_of(name: str, root: Path) -> Path | None:
    stem = root.joinpath(*name.split("."))
    for path in (stem.with_name(stem.name + ".py"), stem / "__init__.py"):
        if path.is_file():
            return path
    return None


@functools.cache
def _imports(name: str, path: Path, modified_ns: int) -> tuple[str, ...]:
    """Return the names that a module imports; `modified_ns` only keys the cache."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    found: dict[str, None] = {}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            found |= dict.fromkeys(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")
                above = parents[: len(parents) - node.level + 1]
                base = ".".join([*above, *([node.module] if node.module else [])])
            # `from package import name` may bring a module as well as an attribute.
            found |= dict.fromkeys([base, *(f"{base}.{alias.name}" for alias in node.names)])
    return tuple(found)


@functools.cache
def _logic(path: Path, modified_ns: int) -> str:
    """Return the module's syntax tree as text, without docstrings; `modified_ns` only keys the cache."""
    tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    for node in ast.walk(tree):
        documented = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        if documented and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return ast.dump(tree)
