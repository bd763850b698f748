"""The frame of the scripts that make a paper's tables and figures: the same options, the same files, everywhere.

A table's script computes cells and calls `write_table_item`; a figure's draws and calls `write_figure_item`. Both
read finished records only, and load no model.
"""

import argparse
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from shared.report.layouts import Layout, write_table
from shared.report.plots import save_figure
from shared.report.tables import write_csv


def add_table_options(parser: argparse.ArgumentParser) -> None:
    """Add `--reported` (the paper's numbers), `--csv`, `--markdown` and `--page` (the three files of a table)."""
    parser.add_argument("--reported", type=Path, required=True, help="the paper's numbers, reported.csv")
    parser.add_argument("--csv", type=Path, required=True, help="the table in long form, to write")
    parser.add_argument("--markdown", type=Path, required=True, help="the table for reading, to write")
    parser.add_argument("--page", type=Path, required=True, help="the table as an HTML page, to write")


def write_table_item(table: pd.DataFrame, layout: Layout, chosen: argparse.Namespace) -> None:
    """Write a table's three files where the options of `add_table_options` say."""
    write_csv(table, chosen.csv)
    write_table(table, layout, markdown=chosen.markdown, page=chosen.page)


def add_figure_options(parser: argparse.ArgumentParser) -> None:
    """Add `--svg`, `--png` and `--csv`: the figure twice, and the numbers behind it."""
    parser.add_argument("--svg", type=Path, required=True, help="the figure, to write")
    parser.add_argument("--png", type=Path, required=True, help="the same figure as pixels, to write")
    parser.add_argument("--csv", type=Path, required=True, help="the plotted numbers, to write")


def write_figure_item(figure: Figure, data: pd.DataFrame, chosen: argparse.Namespace) -> None:
    """Write a figure's three files where the options of `add_figure_options` say."""
    save_figure(figure, data, svg=chosen.svg, png=chosen.png, csv=chosen.csv)
