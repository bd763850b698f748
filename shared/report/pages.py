"""One page per paper, written from its folder and from what a run made: `python -m shared.report.pages --help`.

The page stands beside the paper's figures as `<figures>/<paper>/README.md`, where code hosts show it with the folder:
what the paper is, each table and figure with its status and files, the claims with their verdicts, and the figures.
`<figures>/README.md` lists the pages.
"""

import argparse
import importlib
import logging
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from shared import runtime
from shared.errors import DataError, reported
from shared.paper import Paper
from shared.records import write_text
from shared.report.claims import NOT_RUN, judge, ledger, read_claims
from shared.report.layouts import markdown_table
from shared.report.overview import Item, counted, read_items, status_of

logger = logging.getLogger(__name__)

ITEM_HEADER = ["item", "what it shows", "status", "files"]
CLAIM_HEADER = ["claim", "what it says", "model", "verdict", "ours [95 % interval]", "paper", "note"]
CLAIM_COLUMNS = ["claim", "text", "model", "verdict", "ours", "paper_says", "note"]
ENDINGS = ("html", "md", "svg", "png", "csv")
FOLDER_FILES = {
    "README.md": "how it is reproduced, and every deviation",
    "config.yaml": "every setting",
    "reported.csv": "the paper's numbers",
    "claims.yaml": "the claims and their checks",
    "items": "the scripts of tables and figures",
}
# A Markdown link to a place of the same repository: neither an address nor a heading of the page.
LOCAL_LINK = re.compile(r"\]\((?![a-z]+:|#)([^)\s]+)\)")


def introduction(readme: str, folder: str) -> str:
    """Return what a README says before its first heading of the second level, without its title.

    Args:
        folder: where the README stands, as seen from the page: its links are made to lead there.
    """
    body = re.split(r"^## ", readme, maxsplit=1, flags=re.MULTILINE)[0]
    body = re.sub(r"\A# [^\n]*\n", "", body).strip()
    return LOCAL_LINK.sub(lambda found: f"]({os.path.normpath(os.path.join(folder, found[1]))})", body)


def item_lines(items: Mapping[str, Item], folder: Path) -> list[list[str]]:
    """Return one line per item: name, title with the reason where it is out of reach, statuses, links to its files."""
    lines = []
    for name, item in items.items():
        title = f"{item.title} ({item.out_of_reach})" if item.out_of_reach else item.title
        files = [f"{name}.{ending}" for ending in ENDINGS if (folder / f"{name}.{ending}").is_file()]
        links = " ".join(f"[{file.rpartition('.')[2]}]({file})" for file in files)
        lines.append([name, title, counted(status_of(item, folder / name)), links])
    return lines


def page(paper: Paper, room: Path, folder: Path, scale: str) -> str:
    """Return a paper's page as Markdown.

    Args:
        room: the paper's folder of `papers/`.
        folder: where the run's tables and figures of the paper are, and where the page will be.

    Raises:
        DataError: the room has no README.
        ConfigError: its claims or items cannot be read.
    """
    if not (room / "README.md").is_file():
        raise DataError(f"{room}: no README.md, which the paper's page begins with")
    items, there = read_items(room / "items.yaml"), os.path.relpath(room, folder)
    table = ledger(judge(paper.key, read_claims(room / "claims.yaml"), folder), scale)
    links = [f"- [{name}]({there}/{name}): {what}" for name, what in FOLDER_FILES.items() if (room / name).exists()]
    drawn = [name for name, item in items.items() if not item.out_of_reach and (folder / f"{name}.png").is_file()]
    parts = [
        f"# {paper.title}",
        paper.citation() + ".",
        introduction((room / "README.md").read_text(encoding="utf-8"), there),
        f"Scale of the numbers and figures below: {scale}.",
        "\n".join(links),
        "## Tables and figures",
        markdown_table(ITEM_HEADER, item_lines(items, folder)),
        "## Claims",
        f"{verdicts(room, folder)}. {NOT_RUN}: no such numbers in this run, or out of this project's reach.",
        markdown_table(CLAIM_HEADER, table[CLAIM_COLUMNS].to_numpy().tolist()),
        *(["## Figures"] if drawn else []),
        *(f"![{items[name].title}]({name}.png)\n\n*{name}: {items[name].title}*" for name in drawn),
    ]
    return "\n\n".join(parts) + "\n"


def verdicts(room: Path, folder: Path) -> str:
    """Return how many claims of a room have each verdict, such as `2 FAILS, 9 HOLDS`."""
    found = Counter(verdict.verdict for verdict in judge(room.name, read_claims(room / "claims.yaml"), folder))
    return ", ".join(f"{count} {word}" for word, count in sorted(found.items()))


def index(papers: Mapping[str, Paper], root: Path, figures: Path, scale: str) -> str:
    """Return the list of the pages, with each paper's items by status and claims by verdict."""
    lines = []
    for key, paper in papers.items():
        found = Counter()
        for name, item in read_items(root / key / "items.yaml").items():
            found += status_of(item, figures / key / name)
        page_link = f"[{paper.title}]({key}/README.md) ({paper.authors} {paper.year})"
        lines.append([page_link, counted(found), verdicts(root / key, figures / key)])
    table = markdown_table(["paper", "numbers and figures", "claims"], lines)
    return f"# Tables and figures of the {scale} scale\n\n{table}\n"


@reported(logger)
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line: write the pages of the named papers."""
    parser = argparse.ArgumentParser(prog="python -m shared.report.pages", description=__doc__.split(":")[0])
    parser.add_argument("--papers", nargs="+", required=True, help="folders of papers/")
    parser.add_argument("--root", type=Path, default=Path("papers"), help="where the papers' folders are")
    parser.add_argument("--figures", type=Path, required=True, help="folder that holds <paper>/<item>.*")
    parser.add_argument("--scale", required=True, help="name of the scale, which every page says")
    chosen = parser.parse_args(arguments)
    runtime.start_logging()
    papers = {key: importlib.import_module(f"papers.{key}").PAPER for key in chosen.papers}
    for key, paper in papers.items():
        folder = chosen.figures / key
        write_text(folder / "README.md", page(paper, chosen.root / key, folder, chosen.scale))
    write_text(chosen.figures / "README.md", index(papers, chosen.root, chosen.figures, chosen.scale))
    logger.info("pages of %d papers written to %s", len(papers), chosen.figures)


if __name__ == "__main__":
    main()
