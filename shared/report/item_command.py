"""The command line that all items share: files of records in, one table or one figure out."""

import argparse
import html
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from shared import runtime
from shared.errors import reported
from shared.records import atomic_path, write_text
from shared.report.items import add_figure_options, add_table_options, write_figure_item, write_table_item
from shared.report.layouts import Layout, html_page, html_table, markdown_table
from shared.report.tables import Comparison, Reported, read_reported

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Table:
    """A table in long form and how it is laid out."""

    frame: pd.DataFrame
    layout: Layout


@dataclass(frozen=True)
class Listing:
    """Text in rows, without numbers to compare.

    Attributes:
        title, notes: what stands above it.
        frame: the rows; the columns' names are the header.
    """

    title: str
    notes: Sequence[str]
    frame: pd.DataFrame


@dataclass(frozen=True)
class Drawing:
    """A figure and the numbers that it shows."""

    figure: Figure
    data: pd.DataFrame


@dataclass(frozen=True)
class Request:
    """What an item is made from.

    Attributes:
        models: our models, one per input file.
        inputs: files of records, in the order of `models`.
        settings: the item's settings, as the workflow passes them.
        paper: the paper's numbers, `reported.csv`.
    """

    models: Sequence[str]
    inputs: Sequence[Path]
    settings: Mapping[str, Any] = field(default_factory=dict)
    paper: Path | None = None

    def files(self) -> list[tuple[str, Path]]:
        """Return each input file with its model."""
        return list(zip(self.models, self.inputs, strict=True))

    def comparison(self) -> Comparison:
        """Return how these models may be compared with the paper's."""
        return Comparison(self.settings.get("stands_for", {}), exact=self.settings.get("exact", False))

    def reported(self, item: str) -> list[Reported]:
        """Return the paper's numbers of one item."""
        return [] if self.paper is None else read_reported(self.paper, item)


@reported(log)
def table_main(
    make: Callable[[Request], Table | Listing], description: str, arguments: Sequence[str] | None = None
) -> None:
    """Read a table's command line, make the table or listing and write its files."""
    parser = _parser(description)
    add_table_options(parser)
    chosen = parser.parse_args(arguments)
    runtime.start_logging()
    _write_table(make(_request(chosen, chosen.reported)), chosen)


@reported(log)
def figure_main(make: Callable[[Request], Drawing], description: str, arguments: Sequence[str] | None = None) -> None:
    """Read a figure's command line, draw the figure and write its files."""
    parser = _parser(description)
    add_figure_options(parser)
    chosen = parser.parse_args(arguments)
    runtime.start_logging()
    _write_figure(make(_request(chosen)), chosen)


def write_item(made: Table | Listing | Drawing, folder: Path, name: str) -> None:
    """Write an item's files into a folder: `<name>.csv`, `.md` and `.html`, or `.svg`, `.png` and `.csv`."""
    endings = {"csv": "csv", "markdown": "md", "page": "html", "svg": "svg", "png": "png"}
    files = argparse.Namespace(**{option: folder / f"{name}.{ending}" for option, ending in endings.items()})
    if isinstance(made, Drawing):
        _write_figure(made, files)
    else:
        _write_table(made, files)


def _parser(description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--models", nargs="*", default=[], help="our models, one per input file")
    parser.add_argument("--inputs", nargs="*", default=[], type=Path, help="files of records, one per model")
    parser.add_argument("--settings", type=json.loads, default={}, help="the item's settings, as a JSON object")
    return parser


def _request(chosen: argparse.Namespace, paper: Path | None = None) -> Request:
    return Request(chosen.models, chosen.inputs, chosen.settings, paper)


def _write_table(made: Table | Listing, chosen: argparse.Namespace) -> None:
    if isinstance(made, Table):
        write_table_item(made.frame, made.layout, chosen)
        return
    header, rows = list(made.frame.columns), made.frame.astype(str).to_numpy().tolist()
    with atomic_path(chosen.csv) as part:
        made.frame.to_csv(part, index=False, lineterminator="\n")
    notes = "\n\n".join(made.notes)
    write_text(chosen.markdown, f"# {made.title}\n\n{notes}\n\n{markdown_table(header, rows)}\n")
    rich = [[html.escape(cell) for cell in row] for row in rows]
    above = "\n".join(f"<p>{html.escape(note)}</p>" for note in made.notes)
    write_text(chosen.page, html_page(made.title, f"{above}\n{html_table(header, rich)}"))


def _write_figure(made: Drawing, chosen: argparse.Namespace) -> None:
    write_figure_item(made.figure, made.data, chosen)
