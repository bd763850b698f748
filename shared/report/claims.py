"""The ledger of claims: what a paper says, checked against the tables that this run made.

`papers/<paper>/claims.yaml` holds a list of claims. A claim's check is data, never code: a kind, and selections of
numbers from the tables' .csv files.

    - id: C6
      text: ROME has the highest Score of all editors.
      paper: {value: 89.2, unit: percent, model: gpt2-xl, source: Table 4}
      check:
        kind: greater
        left: {table: table_4, where: {method: rome, metric: score}}
        right: {table: table_4, where: {method: [ft, ft_l], metric: score}, reduce: max}
        margin: 0
      note: shown when the claim does not hold, what we know of why

A claim is checked once per model of the left selection (`each: model`, the default) or once over all rows
(`each: all`). It HOLDS or FAILS by the numbers as they stand; where the two intervals overlap, the ledger says so.
"""

import argparse
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared import runtime
from shared.errors import ConfigError, reported
from shared.records import atomic_path, write_text
from shared.report.layouts import badge, html_page, html_table, markdown_table, number
from shared.settings import read_yaml

logger = logging.getLogger(__name__)

HOLDS, FAILS, NOT_RUN = "HOLDS", "FAILS", "NOT_RUN"
LEDGER_COLUMNS = ["paper", "claim", "text", "scale", "model", "verdict", "ours", "paper_says", "note"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Selection(_Strict):
    """Numbers of one table: the rows where every named column has (one of) the given values, reduced to one number."""

    table: str
    where: dict[str, str | int | float | list[str | int | float]] = Field(default_factory=dict)
    column: str = "value"
    reduce: Literal["only", "max", "min", "mean"] = "only"


class Compare(_Strict):
    """`left` stands in the named relation to `right`, which is a selection or a plain number.

    `margin` is the least difference, the factor of `ratio_at_least`, or the greatest difference of `within`.
    """

    kind: Literal["greater", "less", "ratio_at_least", "within"]
    left: Selection
    right: Selection | float
    margin: float = 0.0
    each: Literal["model", "all"] = "model"


class Peak(_Strict):
    """The row with `left`'s greatest number has its `axis` between `low` and `high`, as shares of the axis' range."""

    kind: Literal["peak_in"]
    left: Selection
    axis: str = "layer"
    low: float = Field(ge=0, le=1)
    high: float = Field(ge=0, le=1)
    each: Literal["model", "all"] = "model"


class Source(_Strict):
    """What the paper reports: a number or words, and its place."""

    source: str
    value: float | str | None = None
    unit: str = ""
    model: str = ""


class Claim(_Strict):
    """One claim of a paper and its check; `check: null` with a note is a claim out of this project's reach."""

    id: str
    text: str
    paper: Source
    check: Annotated[Compare | Peak, Field(discriminator="kind")] | None
    note: str = ""


class Verdict(_Strict):
    """One line of the ledger."""

    paper: str
    claim: Claim
    model: str
    verdict: Literal["HOLDS", "FAILS", "NOT_RUN"]
    ours: str = ""
    remark: str = ""


RELATIONS: dict[str, tuple[str, Callable[[float, float, float], bool]]] = {
    "greater": (">", lambda left, right, margin: left > right + margin),
    "less": ("<", lambda left, right, margin: left < right - margin),
    "ratio_at_least": ("/", lambda left, right, margin: left >= right * margin),
    "within": ("≈", lambda left, right, margin: abs(left - right) <= margin),
}


def read_claims(path: str | Path) -> list[Claim]:
    """Return a paper's claims.

    Raises:
        ConfigError: if the file is not a list of claims; the message names the claim and the field.
    """
    raw = read_yaml(path) or []
    if not isinstance(raw, list):
        raise ConfigError(f"{path}: got a {type(raw).__name__}, expected a list of claims")
    claims = []
    for number_, entry in enumerate(raw, start=1):
        name = entry.get("id", f"number {number_}") if isinstance(entry, Mapping) else f"number {number_}"
        try:
            claims.append(Claim.model_validate(entry))
        except ValidationError as error:
            faults = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
            raise ConfigError(f"{path}, claim {name}: {faults}") from error
    repeated = {claim.id for claim in claims if [other.id for other in claims].count(claim.id) > 1}
    if repeated:
        raise ConfigError(f"{path}: claims {sorted(repeated)} appear twice")
    return claims


def judge(paper: str, claims: Sequence[Claim], folder: str | Path) -> list[Verdict]:
    """Return the verdicts on a paper's claims from the tables in `folder`, in the file's order."""
    return [verdict for claim in claims for verdict in _judge(paper, claim, Path(folder))]


def _judge(paper: str, claim: Claim, folder: Path) -> Iterator[Verdict]:
    if claim.check is None:
        yield Verdict(paper=paper, claim=claim, model="", verdict=NOT_RUN, remark="out of reach of this project")
        return
    left = _select(claim.check.left, folder)
    models = list(dict.fromkeys(left["model"])) if claim.check.each == "model" and "model" in left else [None]
    if left.empty:
        yield Verdict(paper=paper, claim=claim, model="", verdict=NOT_RUN, remark="this run has no such numbers")
        return
    for model in models:
        rows = left if model is None else left[left["model"] == model]
        verdict = _peak if isinstance(claim.check, Peak) else _compare
        holds, ours, remark = verdict(claim.check, rows, model, folder)
        word = NOT_RUN if holds is None else HOLDS if holds else FAILS
        yield Verdict(paper=paper, claim=claim, model=model or "all", verdict=word, ours=ours, remark=remark)


def _select(selection: Selection, folder: Path, model: str | None = None) -> pd.DataFrame:
    """Return the rows of a selection that hold a number; a table that this run did not make has none."""
    path = folder / f"{selection.table}.csv"
    if not path.is_file():
        return pd.DataFrame()
    table = pd.read_csv(path)
    wanted = selection.where | ({"model": model} if model is not None and "model" not in selection.where else {})
    for column in [*wanted, selection.column]:
        if column not in table.columns:
            raise ConfigError(f"{path}: no column {column!r}, which a claim selects by; it has {list(table.columns)}")
    for column, value in wanted.items():
        values = value if isinstance(value, list) else [value]
        table = table[table[column].astype(str).isin([str(one) for one in values])]
    return table[table[selection.column].notna()]


def _number(selection: Selection, rows: pd.DataFrame) -> tuple[float, float, float]:
    """Return the selected number with its interval; a number without one is its own interval."""
    values = rows[selection.column].astype(float)
    if selection.reduce == "mean":
        return (float(values.mean()),) * 3
    if selection.reduce == "only" and len(rows) != 1:
        raise ConfigError(f"a claim on {selection.table} selects {len(rows)} rows by {selection.where}, expected one")
    row = rows.loc[values.idxmin() if selection.reduce == "min" else values.idxmax()]
    value = float(row[selection.column])
    bounded = selection.column == "value" and {"low", "high"} <= set(rows.columns) and pd.notna(row["low"])
    return (value, float(row["low"]), float(row["high"])) if bounded else (value, value, value)


def _compare(check: Compare, rows: pd.DataFrame, model: str | None, folder: Path) -> tuple[bool | None, str, str]:
    left, left_low, left_high = _number(check.left, rows)
    right = right_low = right_high = check.right
    if isinstance(check.right, Selection):
        others = _select(check.right, folder, model)
        if others.empty:
            return None, _text(left, left_low, left_high), "what it is compared with was not run"
        right, right_low, right_high = _number(check.right, others)
    sign, relation = RELATIONS[check.kind]
    overlap = isinstance(check.right, Selection) and left_low <= right_high and right_low <= left_high
    remark = "the two intervals overlap" if overlap and check.kind in {"greater", "less"} else ""
    shown = f"{_text(left, left_low, left_high)} {sign} {_text(right, right_low, right_high)}"
    if check.kind == "ratio_at_least" and right > 0:
        shown += f" = {number(left / right, 2)}"
    elif check.kind == "ratio_at_least":
        remark = "the divisor is not above zero, so there is no ratio"
    return relation(left, right, check.margin), shown, remark


def _peak(check: Peak, rows: pd.DataFrame, model: str | None, folder: Path) -> tuple[bool | None, str, str]:
    if check.axis not in rows.columns:
        raise ConfigError(f"a claim on {check.left.table} asks for the peak along {check.axis!r}; no such column")
    values, axis = rows[check.left.column].astype(float), rows[check.axis].astype(float)
    at = axis.loc[values.idxmax()]
    span = axis.max() - axis.min()
    share = (at - axis.min()) / span if span else 0.0
    return bool(check.low <= share <= check.high), f"peak at {check.axis} {at:g} of {axis.max():g}", ""


def _text(value: float, low: float, high: float) -> str:
    decimals = 0 if float(value).is_integer() and low == high else 2 if abs(value) >= 1 else 3
    spread = "" if low == high else f" [{number(low, decimals)}, {number(high, decimals)}]"
    return number(value, decimals) + spread


def ledger(verdicts: Sequence[Verdict], scale: str) -> pd.DataFrame:
    """Return the ledger as a table of text, one line per claim and model."""
    lines = []
    for verdict in verdicts:
        claim, paper = verdict.claim, verdict.claim.paper
        value = f"{paper.value:g}" if isinstance(paper.value, float) else paper.value or ""
        says = " ".join(filter(None, [value, paper.unit, paper.model and f"({paper.model})", f"{paper.source}"]))
        reason = claim.note if verdict.verdict == FAILS or claim.check is None else ""
        note = "; ".join(filter(None, [verdict.remark, reason]))
        lines.append(
            [verdict.paper, claim.id, claim.text, scale, verdict.model, verdict.verdict, verdict.ours, says, note]
        )
    return pd.DataFrame(lines, columns=LEDGER_COLUMNS)


def write_ledger(table: pd.DataFrame, *, csv: str | Path, markdown: str | Path, page: str | Path) -> None:
    """Write the ledger as CSV, Markdown and HTML."""
    title = "Claims of the papers, checked against this run"
    counts = ", ".join(f"{(table['verdict'] == word).sum()} {word}" for word in (HOLDS, FAILS, NOT_RUN))
    header = ["paper", "claim", "what it says", "scale", "model", "verdict", "ours [95 % interval]", "paper", "note"]
    rows = table.to_numpy().tolist()
    with atomic_path(csv) as part:
        table.to_csv(part, index=False, lineterminator="\n")
    write_text(markdown, f"# {title}\n\n{counts}.\n\n{markdown_table(header, rows)}\n")
    rich = [[badge(cell) if column == 5 else _escaped(cell) for column, cell in enumerate(row)] for row in rows]
    write_text(page, html_page(title, f"<p>{counts}.</p>\n{html_table(header, rich)}"))


def _escaped(text: Any) -> str:
    return str(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


@reported(logger)
def main(arguments: list[str] | None = None) -> None:
    """Run the command line: check the claims of the named papers and write the ledger."""
    parser = argparse.ArgumentParser(prog="python -m shared.report.claims", description=__doc__.split("\n")[0])
    parser.add_argument("--papers", nargs="*", default=[], help="folders of papers/")
    parser.add_argument("--root", type=Path, default=Path("papers"), help="where the papers' folders are")
    parser.add_argument("--figures", type=Path, required=True, help="folder that holds <paper>/<table>.csv")
    parser.add_argument("--scale", required=True, help="name of the scale, printed on every line")
    for kind in ("csv", "markdown", "page"):
        parser.add_argument(f"--{kind}", type=Path, required=True)
    chosen = parser.parse_args(arguments)
    runtime.start_logging()
    verdicts = []
    for paper in chosen.papers:
        verdicts += judge(paper, read_claims(chosen.root / paper / "claims.yaml"), chosen.figures / paper)
    table = ledger(verdicts, chosen.scale)
    write_ledger(table, csv=chosen.csv, markdown=chosen.markdown, page=chosen.page)
    logger.info("%d claims of %d papers", len(table), len(chosen.papers))


if __name__ == "__main__":
    main()
