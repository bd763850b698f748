"""The page of a paper, from a small folder and a small run."""

import pytest

from shared.errors import DataError
from shared.paper import Paper
from shared.report.pages import introduction, main, page

CARD = Paper(key="rome", title="Locating", authors="Meng", year=2022, text="arXiv:1")
README = (
    "# ROME\n\nSee [the plan](plan.py), [Figures](#figures) and [arXiv](https://arxiv.org).\n\n## Deviations\n\nD1\n"
)
CLAIMS = """
- id: C1
  text: It works.
  paper: {value: 9, source: Table 1}
  check: {kind: greater, left: {table: table_1, where: {method: rome}}, right: 5}
- id: C2
  text: It fails.
  paper: {value: 9, source: Table 1}
  check: {kind: less, left: {table: table_1, where: {method: rome}}, right: 5}
  note: too few edits
"""
ITEMS = "table_1: {title: Edits}\nfigure_1: {title: Traces}\nfigure_2: {title: A sketch, out_of_reach: no data}\n"


@pytest.fixture
def folders(tmp_path):
    room, made = tmp_path / "papers/rome", tmp_path / "figures/rome"
    room.mkdir(parents=True)
    made.mkdir(parents=True)
    for name, text in {"README.md": README, "claims.yaml": CLAIMS, "items.yaml": ITEMS}.items():
        (room / name).write_text(text)
    (made / "table_1.csv").write_text("model,method,value,status\nours,rome,7,SAME_DIRECTION\n")
    for ending in ("svg", "png", "csv"):
        (made / f"figure_1.{ending}").write_text("")
    return room, made


def test_a_page_has_items_claims_and_figures(folders):
    text = page(CARD, *folders, "laptop")
    assert "# Locating" in text
    assert "Meng (2022)" in text
    assert "| table_1 | Edits | 1 SAME_DIRECTION | [csv](table_1.csv) |" in text
    assert "| figure_2 | A sketch (no data) | 1 OUT_OF_REACH |  |" in text
    assert "1 FAILS, 1 HOLDS" in text
    assert "| C2 | It fails. | ours | FAILS | 7 < 5 | 9 Table 1 | too few edits |" in text
    assert "![Traces](figure_1.png)" in text
    assert "figure_2.png" not in text
    assert "- [claims.yaml](../../papers/rome/claims.yaml)" in text


def test_links_lead_from_the_page_to_the_folder():
    text = introduction(README, "../../papers/rome")
    assert text == ("See [the plan](../../papers/rome/plan.py), [Figures](#figures) and [arXiv](https://arxiv.org).")
    assert introduction("# T\n\n[docs](../../docs/world.md)\n", "../../papers/rome") == "[docs](../../docs/world.md)"


def test_what_was_not_made_says_so(folders):
    room, made = folders
    for file in made.iterdir():
        file.unlink()
    text = page(CARD, room, made, "laptop")
    assert "| figure_1 | Traces | 1 NOT_RUN |  |" in text
    assert "2 NOT_RUN" in text
    assert "## Figures" not in text


def test_the_command_line_writes_pages_and_needs_a_readme(folders, caplog):
    room, made = folders
    words = ["--papers", "rome", "--root", str(room.parent), "--figures", str(made.parent), "--scale", "laptop"]
    main(words)
    assert "Editing Factual Associations" in (made / "README.md").read_text()
    listed = (made.parent / "README.md").read_text()
    assert (
        "(rome/README.md) (Meng, Bau, Andonian and Belinkov 2022) | 1 DRAWN, 1 OUT_OF_REACH, 1 SAME_DIRECTION" in listed
    )
    assert "1 FAILS, 1 HOLDS" in listed
    (room / "README.md").unlink()
    with pytest.raises(DataError, match=r"no README\.md"):
        page(CARD, room, made, "laptop")
