import pytest

from shared.errors import ConfigError
from shared.provenance import closure, code_digest

FILES = {
    "core/__init__.py": '"""Core."""\n',
    "core/used.py": "def f(x):\n    return x + 1\n",
    "core/deep.py": "from . import used\n",
    "core/unused.py": "VALUE = 1\n",
    "paper/__init__.py": "",
    "paper/step.py": "from core import deep\nimport json\n\ndef run():\n    from core.used import f\n    return f(1)\n",
    "paper/table.yaml": "a: 1\n",
    "tool/__init__.py": "",
    "tool/__main__.py": "import core.used\n",
}


@pytest.fixture
def tree(tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def edit(tree, name, text):
    path = tree / name
    before = path.stat().st_mtime_ns
    path.write_text(text)
    while path.stat().st_mtime_ns == before:
        path.write_text(text)


def test_closure_follows_packages_relative_and_late_imports(tree):
    assert set(closure(["paper.step"], tree)) == {"paper", "paper.step", "core", "core.deep", "core.used"}
    assert set(closure(["tool"], tree)) == {"tool", "tool.__main__", "core", "core.used"}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("core/used.py", '"""New words."""\n# why\n\n\ndef f(x):\n    """More words."""\n    return (x + 1)\n'),
        ("core/unused.py", "VALUE = 2\n"),
        ("core/__init__.py", '"""The core."""\n'),
        ("paper/table.yaml", "a: 2\n"),
    ],
)
def test_comments_and_unrelated_edits_change_nothing(tree, name, text):
    before = code_digest("paper.step", root=tree)
    edit(tree, name, text)
    assert code_digest("paper.step", root=tree) == before


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("core/used.py", "def f(x):\n    return x + 2\n"),
        ("core/__init__.py", '"""Core."""\nimport core.unused\n'),
        ("core/deep.py", "from . import used\n\nSCALE = 1\n"),
    ],
)
def test_logic_edits_change_the_digest(tree, name, text):
    before = code_digest("paper.step", root=tree)
    edit(tree, name, text)
    assert code_digest("paper.step", root=tree) != before


def test_named_files_count_byte_by_byte(tree):
    before = code_digest("paper.step", files=["paper/table.yaml"], root=tree)
    assert before != code_digest("paper.step", root=tree)
    edit(tree, "paper/table.yaml", "a: 1 # note\n")
    assert code_digest("paper.step", files=["paper/table.yaml"], root=tree) != before


def test_names_that_do_not_exist_are_refused(tree):
    with pytest.raises(ConfigError, match="no module paper.stepp"):
        code_digest("paper.stepp", root=tree)
    with pytest.raises(ConfigError, match="no file paper/absent.yaml"):
        code_digest("paper.step", files=["paper/absent.yaml"], root=tree)
