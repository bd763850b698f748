"""The walls between rooms, and the sizes and habits that every file keeps."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from shared.provenance import REPOSITORY

ROOMS = ["shared", "papers", "workflow", "tests"]
MAX_FILE_LINES, MAX_FUNCTION_LINES, MAX_RULE_LINES = 400, 80, 25
FILES = sorted(file for room in ROOMS for file in (REPOSITORY / room).rglob("*.py"))
SNAKEFILES = sorted(
    file
    for pattern in ("Snakefile", "workflow/*.smk", "papers/*/Snakefile", "papers/*/*.smk", "papers/*/rules/*.smk")
    for file in REPOSITORY.glob(pattern)
)


def name_of(file: Path) -> str:
    return file.relative_to(REPOSITORY).as_posix()


def imported(tree: ast.AST, package: str) -> set[str]:
    """Return the dotted names that a module imports; `package` resolves relative imports.

    A name that a call of importlib spells out counts as imported; one that a program is given by its user does not.
    """
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")
            base = ".".join(parts[: len(parts) - node.level + 1]) if node.level else ""
            stem = ".".join(filter(None, [base, node.module or ""]))
            names |= {stem} | {f"{stem}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", None) in {"import_module", "find_spec"}:
            names |= {arg.value for arg in node.args if isinstance(arg, ast.Constant)}
    return names


def trespasses(room: str, names: set[str]) -> set[str]:
    """Return the imports that a room does not allow; a paper's room is `papers.<paper>`."""
    papers = {name for name in names if name == "papers" or name.startswith("papers.")}
    if room.startswith("papers."):
        papers = {name for name in papers if name not in {"papers", room} and not name.startswith(room + ".")}
    return papers


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_imports_stay_in_their_room(file):
    parts = file.relative_to(REPOSITORY).parts
    room = ".".join(parts[:2]) if parts[0] == "papers" else parts[0]
    names = imported(ast.parse(file.read_text()), ".".join(parts[:-1]))
    assert trespasses(room, names) == set(), f"{name_of(file)} imports across a wall"


def test_a_trespass_would_be_found():
    names = imported(
        ast.parse("from papers.memit import edit\nfrom . import key\nimport shared.model.models"), "papers.rome"
    )
    assert trespasses("papers.rome", names) == {"papers.memit", "papers.memit.edit"}
    assert trespasses("shared", {"papers.rome.key", "shared.model.models"}) == {"papers.rome.key"}
    assert trespasses("papers.rome", {"papers.rome", "papers.rome.key", "torch"}) == set()
    names = imported(
        ast.parse('importlib.import_module("papers.rome.editor")\nimportlib.import_module(name)'), "shared"
    )
    assert trespasses("shared", names) == {"papers.rome.editor"}


def faults(source: str) -> list[str]:
    """Return what a module's source does that no file here does."""
    found = []
    if len(source.splitlines()) > MAX_FILE_LINES:
        found.append(f"{len(source.splitlines())} lines")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = node.end_lineno - node.lineno + 1
            if length > MAX_FUNCTION_LINES:
                found.append(f"{node.name} has {length} lines")
        elif (
            isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"print", "eval", "exec"}
        ):
            found.append(f"line {node.lineno} calls {node.func.id}")
        elif isinstance(node, ast.ExceptHandler) and node.type is None:
            found.append(f"line {node.lineno}: bare except")
    return found


def undocumented(source: str) -> list[str]:
    """Return the public functions, classes and methods without a docstring, and the module if it has none."""
    tree = ast.parse(source)
    found = [] if ast.get_docstring(tree) else ["the module"]
    for holder in [tree, *(node for node in tree.body if isinstance(node, ast.ClassDef))]:
        if isinstance(holder, ast.ClassDef) and holder.name.startswith("_"):
            continue
        for node in holder.body:
            definition = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            if definition and not node.name.startswith("_") and not ast.get_docstring(node):
                found.append(node.name)
    return found


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_sizes_and_habits(file):
    assert faults(file.read_text()) == []


@pytest.mark.parametrize("file", [file for file in FILES if "tests" not in file.parts], ids=name_of)
def test_public_names_are_documented(file):
    source = file.read_text()
    assert not source.strip() or undocumented(source) == []


def test_faults_would_be_found():
    long = "def f():\n" + "    x = 1\n" * 90
    assert faults(long) == ["f has 91 lines"]
    assert faults("try:\n    print(1)\nexcept:\n    pass\n") == ["line 2 calls print", "line 3: bare except"] or set(
        faults("try:\n    print(1)\nexcept:\n    pass\n")
    ) == {"line 2 calls print", "line 3: bare except"}
    assert faults("x = 1\n" * 401) == ["401 lines"]
    assert undocumented('"""M."""\nclass A:\n    """A."""\n    def f(self): pass\n    def _g(self): pass\n') == ["f"]


# Packages of the core, lowest first: a module imports from its own package and from those before it.
LAYERS = ["data", "model", "edits", "inference", "fit", "traces", "measures", "editing", "learning", "report"]


def climbs(layer: str, names: set[str]) -> set[str]:
    """Return the imports of a package of the core that lead into a higher one."""
    higher = {f"shared.{other}" for other in LAYERS[LAYERS.index(layer) + 1 :]}
    return {name for name in names if ".".join(name.split(".")[:2]) in higher}


@pytest.mark.parametrize("layer", LAYERS)
def test_the_core_imports_downwards(layer):
    files = sorted((REPOSITORY / "shared" / layer).glob("*.py"))
    assert len(files) > 1
    for file in files:
        names = imported(ast.parse(file.read_text()), f"shared.{layer}")
        assert climbs(layer, names) == set(), f"{name_of(file)} imports from a higher package"


def test_a_climb_would_be_found():
    names = imported(
        ast.parse("from shared.editing.editors import Editor\nfrom shared.data import fetch"), "shared.fit"
    )
    assert climbs("fit", names) == {"shared.editing.editors", "shared.editing.editors.Editor"}


def test_every_package_of_the_core_has_its_layer():
    packages = {file.parent.name for file in (REPOSITORY / "shared").glob("*/__init__.py")}
    assert packages == {*LAYERS, "world", "tests"}


LEAVES = [
    "shared.data.fetch",
    "shared.report.claims",
    "shared.report.overview",
    "shared.editing.plan",
    "shared.editing.command_line",
]


def loads_torch(modules: list[str]) -> bool:
    """Return whether importing the modules in a fresh process imports torch."""
    code = f"import sys, {', '.join(modules)}; sys.exit('torch' in sys.modules)"
    return subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=False).returncode != 0


def test_what_only_reads_records_does_not_load_torch():
    items = [file for file in REPOSITORY.glob("papers/*/items/*.py") if file.stem != "__init__"]
    modules = [".".join(file.relative_to(REPOSITORY).with_suffix("").parts) for file in items]
    assert not loads_torch([*LEAVES, *modules])
    assert loads_torch(["shared.model.models"])


def test_rules_of_items_stand_beside_their_captions():
    """Snakemake looks for `items/<item>.rst` beside the file that holds the rule."""
    beside, nested = (
        [name_of(file) for file in REPOSITORY.glob(pattern) if "item_files(" in file.read_text()]
        for pattern in ("papers/*/*.smk", "papers/*/*/*.smk")
    )
    assert beside
    assert nested == []


def rules(text: str) -> dict[str, list[str]]:
    """Return the lines of each rule of a Snakefile, blank ends removed."""
    found, name = {}, None
    for line in text.splitlines():
        if line.startswith(("rule ", "checkpoint ")):
            name = line.split()[1].rstrip(":")
            found[name] = []
        elif line and not line[0].isspace():
            name = None
        if name:
            found[name].append(line)
    return {name: "\n".join(lines).rstrip().splitlines() for name, lines in found.items()}


@pytest.mark.parametrize("file", SNAKEFILES, ids=name_of)
def test_rules_are_short_logged_and_measured(file):
    for name, lines in rules(file.read_text()).items():
        keys = {line.strip().rstrip(":").split(":")[0] for line in lines if line.startswith("    ") and line[4] != " "}
        assert len(lines) <= MAX_RULE_LINES, f"{name} has {len(lines)} lines"
        assert "run" not in keys, f"{name} has a run block"
        if "shell" in keys:
            assert {"log", "conda"} <= keys, f"{name} lacks a log or an environment"
            works = any("python -m" in line for line in lines) and name != "record_run"
            assert "benchmark" in keys or not works, f"{name} is not measured"
        if file.parent.parent.name == "papers":
            assert "default_target" not in keys, f"{name} would become the root's default target"
