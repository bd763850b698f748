"""One page for a whole run: each paper's items with their status, from the files that the run made.

`papers/<paper>/items.yaml` lists what the paper has, in its own numbering:

    table_4: {title: CounterFact on GPT-2 XL and GPT-J}
    figure_26: {title: Human evaluation, out_of_reach: it needs volunteers}
"""

import argparse
import logging
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
from pydantic import BaseModel, ConfigDict, ValidationError

from shared import runtime
from shared.errors import ConfigError, reported
from shared.records import write_text
from shared.report.layouts import badge, html_page, html_table, markdown_table
from shared.report.tables import NOT_RUN, STATUSES
from shared.settings import read_yaml

logger = logging.getLogger(__name__)

DRAWN, MADE, OUT_OF_REACH = "DRAWN", "MADE", "OUT_OF_REACH"
HEADER = ["paper", "item", "what it shows", "status", "scale"]


class Item(BaseModel):
    """One table or figure of a paper; `out_of_reach` says why this project does not regenerate it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str
    out_of_reach: str = ""


def read_items(path: str | Path) -> dict[str, Item]:
    """Return a paper's items by name, in the file's order.

    Raises:
        ConfigError: if the file is not a mapping of items.
    """
    raw = read_yaml(path)
    if not isinstance(raw, Mapping):
        raise ConfigError(f"{path}: got a {type(raw).__name__}, expected a mapping of item to title")
    try:
        return {name: Item.model_validate(entry) for name, entry in raw.items()}
    except ValidationError as error:
        raise ConfigError(f"{path}: {error.errors()[0]['loc']}: {error.errors()[0]['msg']}") from error


def status_of(item: Item, stem: Path) -> Counter[str]:
    """Return how many numbers of an item have each status; a figure is DRAWN, a table without statuses is MADE."""
    if item.out_of_reach:
        return Counter([OUT_OF_REACH])
    if stem.with_suffix(".svg").is_file():
        return Counter([DRAWN])
    csv = stem.with_suffix(".csv")
    if not csv.is_file():
        return Counter([NOT_RUN])
    table = pd.read_csv(csv)
    if "status" not in table.columns:
        return Counter([MADE])
    return Counter(table["status"])


def overview(papers: Mapping[str, Mapping[str, Item]], figures: str | Path, scale: str) -> list[list]:
    """Return one line per item: paper, item, title, its statuses with their counts, and the scale."""
    lines = []
    for paper, items in papers.items():
        for name, item in items.items():
            found = status_of(item, Path(figures) / paper / name)
            title = f"{item.title} ({item.out_of_reach})" if item.out_of_reach else item.title
            lines.append([paper, name, title, found, scale])
    return lines


def counted(found: Counter[str]) -> str:
    """Return statuses with their counts as text, such as `2 SAME_DIRECTION, 1 NOT_RUN`."""
    return ", ".join(f"{n} {status}" for status, n in _counts(found))


def _counts(found: Counter[str]) -> list[tuple[str, int]]:
    order = {status: place for place, status in enumerate(STATUSES)}
    return sorted(found.items(), key=lambda pair: order.get(pair[0], -1))


def write_overview(lines: list[list], *, markdown: str | Path, page: str | Path) -> None:
    """Write the overview as Markdown and HTML."""
    title = "What this run regenerated"
    plain = [[*line[:3], counted(line[3]), line[4]] for line in lines]
    write_text(markdown, f"# {title}\n\n{markdown_table(HEADER, plain)}\n")
    rich = [[*line[:3], "<br>".join(f"{badge(s)} {n}" for s, n in _counts(line[3])), line[4]] for line in lines]
    write_text(page, html_page(title, html_table(HEADER, rich)))


@reported(logger)
def main(arguments: list[str] | None = None) -> None:
    """Run the command line: list the named papers' items with their status."""
    parser = argparse.ArgumentParser(prog="python -m shared.report.overview", description=__doc__.split("\n")[0])
    parser.add_argument("--papers", nargs="*", default=[], help="folders of papers/")
    parser.add_argument("--root", type=Path, default=Path("papers"), help="where the papers' folders are")
    parser.add_argument("--figures", type=Path, required=True, help="folder that holds <paper>/<item>.*")
    parser.add_argument("--scale", required=True)
    parser.add_argument("--markdown", type=Path, required=True)
    parser.add_argument("--page", type=Path, required=True)
    chosen = parser.parse_args(arguments)
    runtime.start_logging()
    papers = {paper: read_items(chosen.root / paper / "items.yaml") for paper in chosen.papers}
    lines = overview(papers, chosen.figures, chosen.scale)
    write_overview(lines, markdown=chosen.markdown, page=chosen.page)
    logger.info("%d items of %d papers", len(lines), len(papers))


if __name__ == "__main__":
    main()
