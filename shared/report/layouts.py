"""A table in long form, laid out for readers as Markdown and as one self-contained HTML page."""

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from shared import records
from shared.editing.methods import title_of
from shared.report.tables import NOT_RUN, STATUSES

STYLE = """
body { font: 14px/1.45 system-ui, sans-serif; margin: 2em; color: #1a1a1a; background: #fff; }
h1 { font-size: 1.25em; } h2 { font-size: 1.05em; margin: 1.6em 0 .4em; }
p { max-width: 60em; } .scroll { overflow-x: auto; }
table { border-collapse: collapse; } th, td { padding: .35em .7em; text-align: left; vertical-align: top; }
thead th { border-bottom: 2px solid #333; white-space: nowrap; } tbody tr { border-bottom: 1px solid #ddd; }
.ours { font-weight: 600; white-space: nowrap; }
.interval, .paper { color: #666; font-size: .85em; white-space: nowrap; }
.status { font-size: .72em; letter-spacing: .03em; padding: 0 .4em; border-radius: .6em; white-space: nowrap; }
.REPRODUCED, .SAME_DIRECTION, .HOLDS, .DRAWN { background: #d3ecd9; }
.OPPOSITE, .DEVIATES, .FAILS { background: #f6d5c8; }
.UNRESOLVED { background: #f4ecc9; }
.NOT_RUN, .NO_REFERENCE, .OUT_OF_REACH { background: #e8e8e8; } dt { float: left; clear: left; margin-right: .6em; }
dd { margin: 0 0 .3em 12em; max-width: 48em; color: #444; }
""".strip()


@dataclass(frozen=True)
class Column:
    """One metric as a column: its key in the long form, its printed title, and how many decimals it is given."""

    metric: str
    title: str
    decimals: int = 1


@dataclass(frozen=True)
class Layout:
    """What stands around a table: title, columns in order, the name of its rows, and notes for the reader."""

    title: str
    columns: Sequence[Column]
    row_title: str = "Editor"
    notes: Sequence[str] = ()


def write_table(table: pd.DataFrame, layout: Layout, *, markdown: str | Path, page: str | Path) -> None:
    """Write a table's long form as Markdown and as an HTML page; each block of rows is one of our models."""
    records.write_text(markdown, _markdown(table, layout))
    records.write_text(page, _page(table, layout))


def html_page(title: str, body: str) -> str:
    """Return a whole HTML page that needs no other file; `title` is plain text, `body` is HTML."""
    head = f'<meta charset="utf-8"><title>{html.escape(title)}</title><style>{STYLE}</style>'
    body = f"<h1>{html.escape(title)}</h1>\n{body}"
    return f"<!doctype html><html lang=en><head>{head}</head><body>\n{body}\n</body></html>\n"


def html_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return an HTML table; the header is plain text, the cells are HTML."""
    head = "".join(f"<th>{html.escape(title)}</th>" for title in header)
    body = "\n".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table></div>'


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table of plain-text cells."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def badge(status: str) -> str:
    """Return a status as a small coloured HTML label; the word is always there, so colour alone never carries it."""
    return f'<span class="status {status}">{status}</span>'


def number(value: float | int | str | None, decimals: int) -> str:
    """Return a number with so many decimals, a true minus sign and no negative zero; a missing one is a dash."""
    if not is_given(value):
        return "—"
    text = f"{float(value):.{decimals}f}"
    return text.lstrip("-") if float(text) == 0 else text.replace("-", "−")


def is_given(value: float | int | str | None) -> bool:
    """Return whether a table's field holds a number."""
    return value is not None and value != "" and not math.isnan(float(value))


def interval(line: Mapping, decimals: int) -> str:
    """Return a line's 95 % interval as text, or nothing where it has none."""
    if not (is_given(line["low"]) and is_given(line["high"])):
        return ""
    return f"[{number(line['low'], decimals)}, {number(line['high'], decimals)}]"


def _markdown(table: pd.DataFrame, layout: Layout) -> str:
    parts = [f"# {layout.title}", *layout.notes]
    for heading, rows in _blocks(table, layout):
        body = [[label, *(_plain(line, column) for column, line in cells)] for label, cells in rows]
        parts += [f"## {heading}", markdown_table([layout.row_title, *(c.title for c in layout.columns)], body)]
    parts.append("Each cell: ours [95 % interval], the paper's number, status. " + " ".join(_legend(table)))
    return "\n\n".join(parts) + "\n"


def _page(table: pd.DataFrame, layout: Layout) -> str:
    parts = [f"<p>{html.escape(note)}</p>" for note in layout.notes]
    for heading, rows in _blocks(table, layout):
        body = [[html.escape(label), *(_rich(line, column) for column, line in cells)] for label, cells in rows]
        header = [layout.row_title, *(column.title for column in layout.columns)]
        parts += [f"<h2>{html.escape(heading)}</h2>", html_table(header, body)]
    present = [status for status in STATUSES if status in set(table["status"])]
    parts.append("<dl>" + "".join(f"<dt>{badge(s)}</dt><dd>{html.escape(STATUSES[s])}</dd>" for s in present) + "</dl>")
    return html_page(layout.title, "\n".join(parts))


def _legend(table: pd.DataFrame) -> list[str]:
    return [f"{status}: {STATUSES[status]}." for status in STATUSES if status in set(table["status"])]


def _blocks(table: pd.DataFrame, layout: Layout):
    """Yield, per model, its heading and its rows: a label with the pairs of column and line (None where absent)."""
    for model, block in table.groupby("model", sort=False):
        papers = [name for name in dict.fromkeys(block["paper_model"]) if name and name not in {"-", model}]
        sizes = sorted({int(n) for n in block["n"] if is_given(n)})
        ran = f"n = {sizes[0]}" if len(sizes) == 1 else f"n = {sizes[0]} to {sizes[-1]}" if sizes else "not run"
        beside = f"; the paper's numbers are of {', '.join(papers)}" if papers else ""
        rows = []
        for (method, dataset), lines in block.groupby(["method", "dataset"], sort=False):
            by_metric = {line["metric"]: line for line in lines.to_dict("records")}
            label = title_of(method) or dataset
            rows.append((label, [(column, by_metric.get(column.metric)) for column in layout.columns]))
        yield f"{model if model != '-' else 'all models'} ({ran}{beside})", rows


def _plain(line: Mapping | None, column: Column) -> str:
    if line is None:
        return ""
    ours = " ".join(filter(None, [number(line["value"], column.decimals), interval(line, column.decimals)]))
    paper = f"paper {number(line['paper_value'], column.decimals)}" if is_given(line["paper_value"]) else ""
    return " · ".join(filter(None, ["" if line["status"] == NOT_RUN else ours, paper, line["status"]]))


def _rich(line: Mapping | None, column: Column) -> str:
    if line is None:
        return ""
    ours = f'<span class="ours">{number(line["value"], column.decimals)}</span>'
    spread = f'<span class="interval">{interval(line, column.decimals)}</span>'
    half = f" ±{number(line['paper_ci'], column.decimals)}" if is_given(line["paper_ci"]) else ""
    paper = f"paper {number(line['paper_value'], column.decimals)}{half}" if is_given(line["paper_value"]) else ""
    source = html.escape(f"{line['paper_model']}, {line['source']}", quote=True)
    note = f' title="{html.escape(str(line["note"]), quote=True)}"' if line["note"] else ""
    first = "" if line["status"] == NOT_RUN else f"{ours} {spread}<br>"
    second = f'<span class="paper" title="{source}">{paper}</span><br>' if paper else ""
    return f"{first}{second}<span{note}>{badge(line['status'])}</span>"
