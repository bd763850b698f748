"""Tables that stand ours beside the paper's: one row per number, with interval, sample size and status.

A table is computed as `Cell`s, joined with the paper's numbers from `reported.csv`, and kept in long form (the .csv
file, one line per number); `shared.report.layouts` prints that form for readers. A number that was not run is a
line too.
"""

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from shared.errors import DataError
from shared.records import atomic_path

REPRODUCED, SAME_DIRECTION, OPPOSITE, UNRESOLVED = "REPRODUCED", "SAME_DIRECTION", "OPPOSITE", "UNRESOLVED"
DEVIATES, NOT_RUN, NO_REFERENCE = "DEVIATES", "NOT_RUN", "NO_REFERENCE"
STATUSES = {
    REPRODUCED: "same model and data as the paper, and its number lies in our interval or the stated tolerance",
    DEVIATES: "same model and data as the paper, and its number lies outside; the note names the deviation",
    SAME_DIRECTION: "another model or data: the change from the unedited model has the paper's sign",
    OPPOSITE: "another model or data: the change from the unedited model has the other sign",
    UNRESOLVED: "another model or data: only one of the two changes from the unedited model exceeds its intervals",
    NO_REFERENCE: "no number of the paper can be compared with this one, as for another model before any edit",
    NOT_RUN: "the paper gives a number, and this run made none",
}

REPORTED_COLUMNS = ["item", "model", "method", "dataset", "metric", "value", "ci", "n", "unit", "source", "note"]
COLUMNS = [
    *["item", "model", "method", "dataset", "metric", "value", "low", "high", "n", "status", "note"],
    *["paper_model", "paper_value", "paper_ci", "paper_n", "unit", "source"],
]


@dataclass(frozen=True)
class Cell:
    """One number of ours: `value` in the paper's unit with its 95 % interval [`low`, `high`] over `n` cases.

    `low` and `high` are None for numbers that are counted rather than estimated. `deviation` is the id (D1, D2, ...) of
    the paper's README that explains a number which is known to differ.
    """

    model: str
    method: str
    dataset: str
    metric: str
    value: float | int
    low: float | int | None = None
    high: float | int | None = None
    n: int | None = None
    note: str = ""
    deviation: str = ""


@dataclass(frozen=True)
class Reported:
    """One number of a paper, typed from it: `ci` is the printed half width, `source` its place in the paper."""

    item: str
    model: str
    method: str
    dataset: str
    metric: str
    value: float
    ci: float | None
    n: int | None
    unit: str
    source: str
    note: str


@dataclass(frozen=True)
class Comparison:
    """How ours may be compared with the paper's.

    Args:
        stands_for: our model's key to the paper's model name; a model that stands for none is left out of the mapping.
        exact: whether the run used the paper's own models and data, so that numbers and not only signs may be compared.
        baseline: the method from which changes are counted when only signs may be compared.
        tolerance: metric to the half width that the paper's own randomness allows, in the metric's unit.
    """

    stands_for: Mapping[str, str]
    exact: bool = False
    baseline: str = "none"
    tolerance: Mapping[str, float] | None = None


def read_reported(path: str | Path, item: str | None = None) -> list[Reported]:
    """Return the paper's numbers of one item, or of all, in the file's order.

    Raises:
        DataError: if a column is missing or unknown, or a line lacks a number or its source.
    """
    with open(path, newline="", encoding="utf-8") as lines:
        reader = csv.DictReader(lines)
        if reader.fieldnames != REPORTED_COLUMNS:
            raise DataError(f"{path}: columns are {reader.fieldnames}, expected {REPORTED_COLUMNS}")
        rows = [_reported(row, f"{path}, line {reader.line_num}") for row in reader]
    return [row for row in rows if item is None or row.item == item]


def compare(item: str, cells: Iterable[Cell], reported: Sequence[Reported], how: Comparison) -> pd.DataFrame:
    """Return the table in long form: each cell beside the paper's number, and each of the paper's that was not run.

    The paper's lines come first, in the paper's order and once per model of ours that stands for the paper's; cells
    without a counterpart follow. A model of the paper for which none of ours stands keeps its own name, as NOT_RUN.
    """
    ours = {(cell.model, cell.method, cell.dataset, cell.metric): cell for cell in cells}
    lines, used = [], set()
    for model, theirs in _pairs(reported, how.stands_for):
        key = (model, theirs.method, theirs.dataset, theirs.metric)
        used.add(key)
        cell = ours.get(key)
        status, reason = _status(cell, theirs, ours, reported, how)
        lines.append(_line(item, model, cell, theirs, status, reason))
    lines += [_line(item, cell.model, cell, None, NO_REFERENCE) for key, cell in ours.items() if key not in used]
    return pd.DataFrame(lines, columns=COLUMNS)


def write_csv(table: pd.DataFrame, path: str | Path) -> None:
    """Write a table's long form; the same numbers give the same bytes."""
    with atomic_path(path) as part:
        table.to_csv(part, index=False, float_format="%.6g", lineterminator="\n")


def read_csv(path: str | Path) -> pd.DataFrame:
    """Return a table in long form, with empty text as "".

    Raises:
        DataError: if the file is absent, or is not a table of this module.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: no such table; run the workflow first")
    table = pd.read_csv(
        path,
        dtype={name: str for name in COLUMNS if not _is_number(name)},
        keep_default_na=False,
        na_values={name: [""] for name in COLUMNS if _is_number(name)},
    )
    if list(table.columns) != COLUMNS:
        raise DataError(f"{path}: columns are {list(table.columns)}, expected {COLUMNS}")
    return table


def _is_number(column: str) -> bool:
    return column in {"value", "low", "high", "n", "paper_value", "paper_ci", "paper_n"}


def _reported(row: Mapping[str, str], where: str) -> Reported:
    if not row["source"] or not row["metric"]:
        raise DataError(f"{where}: a number of the paper needs its metric and its source (table, section or page)")
    try:
        numbers = {
            "value": float(row["value"]),
            "ci": float(row["ci"]) if row["ci"] else None,
            "n": int(row["n"]) if row["n"] else None,
        }
    except ValueError as error:
        raise DataError(f"{where}: value, ci and n must be numbers ({error})") from error
    return Reported(**{**row, **numbers})


def _pairs(reported: Sequence[Reported], stands_for: Mapping[str, str]) -> Iterable[tuple[str, Reported]]:
    for paper_model in dict.fromkeys(row.model for row in reported):
        here = [model for model, paper in stands_for.items() if paper == paper_model] or [paper_model]
        for model in here:
            yield from ((model, row) for row in reported if row.model == paper_model)


def _status(
    cell: Cell | None, theirs: Reported, ours: Mapping[tuple, Cell], reported: Sequence[Reported], how: Comparison
) -> tuple[str, str]:
    """Return the status of one number and, where it needs one, its reason."""
    if cell is None:
        return NOT_RUN, ""
    if how.exact:
        slack = (how.tolerance or {}).get(cell.metric, 0.0)
        low = min(cell.value if cell.low is None else cell.low, cell.value - slack)
        high = max(cell.value if cell.high is None else cell.high, cell.value + slack)
        inside = low <= theirs.value <= high or math.isclose(theirs.value, cell.value, rel_tol=1e-9)
        return (REPRODUCED, "") if inside else (DEVIATES, cell.deviation)
    base = ours.get((cell.model, how.baseline, cell.dataset, cell.metric))
    paper_base = next(
        (
            row
            for row in reported
            if row.method == how.baseline
            and (row.model, row.dataset, row.metric) == (theirs.model, theirs.dataset, theirs.metric)
        ),
        None,
    )
    if base is None or paper_base is None or theirs.method == how.baseline:
        return NO_REFERENCE, ""
    return _direction(cell, base, theirs, paper_base)


def _direction(cell: Cell, base: Cell, theirs: Reported, paper_base: Reported) -> tuple[str, str]:
    """Compare the signs of two changes, where a change within both intervals' half widths counts as none."""
    change = _sign(cell.value - base.value, _half_width(cell) + _half_width(base))
    paper_change = _sign(theirs.value - paper_base.value, (theirs.ci or 0.0) + (paper_base.ci or 0.0))
    if change == paper_change:
        return SAME_DIRECTION, ""
    words = {-1: "down", 0: "no change beyond the intervals", 1: "up"}
    status = OPPOSITE if change and paper_change else UNRESOLVED
    return status, f"from the unedited model, paper: {words[paper_change]}; here: {words[change]}"


def _sign(change: float, noise: float) -> int:
    return 0 if abs(change) <= noise else int(math.copysign(1, change))


def _half_width(cell: Cell) -> float:
    return 0.0 if cell.low is None or cell.high is None else (cell.high - cell.low) / 2


def _line(item: str, model: str, cell: Cell | None, theirs: Reported | None, status: str, reason: str = "") -> dict:
    line = dict.fromkeys(COLUMNS, "")
    if theirs is not None:
        line |= {
            "method": theirs.method,
            "dataset": theirs.dataset,
            "metric": theirs.metric,
            "unit": theirs.unit,
            "paper_model": theirs.model,
            "paper_value": theirs.value,
            "paper_ci": theirs.ci,
            "paper_n": theirs.n,
            "source": theirs.source,
            "note": theirs.note,
        }
    if cell is not None:
        notes = [reason, cell.note, line["note"]]
        known = {name: value for name, value in asdict(cell).items() if name in COLUMNS}
        line |= known | {"note": "; ".join(filter(None, notes))}
    return line | {"item": item, "model": model, "status": status}
