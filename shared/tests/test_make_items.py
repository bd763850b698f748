"""Several items in one process are what their own scripts make."""

import json
import sys

import pytest

from shared.report import make_items
from shared.report.reporting import item_files, item_sources

SCRIPT = """
import pandas as pd
from shared.report.item_command import Drawing, Listing, table_main
from shared.report.plots import new_figure


def make(request):
    ((model, path),) = request.files()
    frame = pd.read_csv(path)
    if "{kind}" == "table":
        return Listing(request.settings["title"], [model], frame)
    figure, axes = new_figure()
    axes[0, 0].plot(frame["x"])
    return Drawing(figure, frame.assign(model=model))


if __name__ == "__main__":
    table_main(make, "A table.")
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    folder = tmp_path / "sample_items"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    for kind in ("table", "figure"):
        (folder / f"{kind}_1.py").write_text(SCRIPT.replace("{kind}", kind))
    (tmp_path / "records.csv").write_text("x\n1\n3\n")
    (tmp_path / "reported.csv").write_text("item,model,method,dataset,metric,value,ci,n,unit,source,note\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in [name for name in sys.modules if name.startswith("sample_items")]:
        monkeypatch.delitem(sys.modules, name)
    return tmp_path


def run(folder, items, out):
    out.mkdir(exist_ok=True)
    own = {name: {"models": ["small"], "inputs": [str(folder / "records.csv")]} for name in items}
    options = ["--package", "sample_items", "--items", json.dumps(own), "--settings", '{"title": "Counts"}']
    make_items.main([*options, "--reported", str(folder / "reported.csv"), "--folder", str(out)])


def test_each_item_is_what_its_own_script_makes(package, tmp_path):
    from sample_items.table_1 import make

    from shared.report.item_command import table_main

    run(package, ["table_1", "figure_1"], tmp_path / "together")
    own = {"csv": "csv", "markdown": "md", "page": "html"}
    alone = [word for option, ending in own.items() for word in (f"--{option}", str(tmp_path / f"alone.{ending}"))]
    inputs = ["--models", "small", "--inputs", str(package / "records.csv"), "--settings", '{"title": "Counts"}']
    table_main(make, "A table.", [*inputs, "--reported", str(package / "reported.csv"), *alone])
    for ending in own.values():
        assert (tmp_path / f"together/table_1.{ending}").read_bytes() == (tmp_path / f"alone.{ending}").read_bytes()
    assert {file.name for file in (tmp_path / "together").glob("figure_1.*")} == {
        f"figure_1.{ending}" for ending in ("svg", "png", "csv")
    }


def test_an_item_without_a_script_is_refused(package, tmp_path, caplog):
    with pytest.raises(SystemExit):
        run(package, ["table_2"], tmp_path / "out")
    assert "sample_items has no script table_2.py" in caplog.text


def test_outputs_of_a_rule_are_marked_for_the_report():
    marked = []
    files = item_files(lambda path, **words: marked.append((path, words["category"])) or path, "f", "X", ["table_1"])
    assert files == {"table_1_html": "f/table_1.html", "table_1_md": "f/table_1.md", "table_1_csv": "f/table_1.csv"}
    assert marked == [("f/table_1.html", "X")]


def test_sources_are_the_first_files_of_the_named_inputs():
    listed = item_sources({"table_1": (["a", "b"], ["runs"]), "figure_1": (["a"], ["runs"]), "table_2": (["-"], ["x"])})
    made_from = json.loads(listed(None, {"runs": ["a.csv", "b.csv"], "x": "x.csv"}))
    assert made_from["table_1"] == {"models": ["a", "b"], "inputs": ["a.csv", "b.csv"]}
    assert made_from["figure_1"] == {"models": ["a"], "inputs": ["a.csv"]}
    assert made_from["table_2"] == {"models": ["-"], "inputs": ["x.csv"]}
