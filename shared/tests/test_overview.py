import pytest

from shared.errors import ConfigError
from shared.report import overview

ITEMS = """
table_4: {title: CounterFact}
table_9: {title: Not made}
figure_2: {title: Traces}
data_1: {title: Plain numbers}
figure_26: {title: Human evaluation, out_of_reach: it needs volunteers}
"""


@pytest.fixture
def figures(tmp_path):
    folder = tmp_path / "figures/rome"
    folder.mkdir(parents=True)
    (folder / "table_4.csv").write_text(
        "item,status\ntable_4,SAME_DIRECTION\ntable_4,NOT_RUN\ntable_4,SAME_DIRECTION\n"
    )
    (folder / "figure_2.svg").write_text("<svg/>")
    (folder / "figure_2.csv").write_text("layer,value\n0,1\n")
    (folder / "data_1.csv").write_text("layer,value\n0,1\n")
    (tmp_path / "papers/rome").mkdir(parents=True)
    (tmp_path / "papers/rome/items.yaml").write_text(ITEMS)
    return tmp_path


def test_every_item_has_a_line_and_a_status(figures):
    outputs = [f"--markdown={figures}/o.md", f"--page={figures}/o.html"]
    where = ["--root", str(figures / "papers"), "--figures", str(figures / "figures")]
    overview.main(["--papers", "rome", "--scale", "laptop", *where, *outputs])
    lines = (figures / "o.md").read_text().splitlines()[4:]
    statuses = [line.split(" | ")[3] for line in lines]
    assert statuses == ["2 SAME_DIRECTION, 1 NOT_RUN", "1 NOT_RUN", "1 DRAWN", "1 MADE", "1 OUT_OF_REACH"]
    assert "it needs volunteers" in (figures / "o.html").read_text()


def test_a_faulty_list_names_the_item(tmp_path):
    (tmp_path / "items.yaml").write_text("table_4: {titel: CounterFact}\n")
    with pytest.raises(ConfigError, match="items.yaml: .*titl?e"):
        overview.read_items(tmp_path / "items.yaml")
    (tmp_path / "items.yaml").write_text("- table_4\n")
    with pytest.raises(ConfigError, match="expected a mapping"):
        overview.read_items(tmp_path / "items.yaml")
