"""What the items share: the room's measurements as they lie in files, and as cells of tables.

Every item is handed the same files, `metrics/<model>.csv`, `costs/<model>.csv` and `sequences/<model>.csv`, as far as
they belong to it; the folder says which kind a file is of.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from papers.survey.contract import (
    COST_COLUMNS,
    METHODS,
    METRIC_COLUMNS,
    METRICS,
    PLUS_METRICS,
    ROME_METRICS,
    SEQUENCE_COLUMNS,
)
from shared.errors import DataError
from shared.report.editing_results import notes_of, read_csv
from shared.report.item_command import Request, Table
from shared.report.layouts import Column, Layout
from shared.report.tables import COLUMNS, NOT_RUN, Cell, Comparison, compare

FORMS = {"counterfact": "CounterFact", "zsre": "zsRE"}
SINGLE = "single"
SURVEY, WILD, ROME, PLUS = "survey", "wild", "rome", "plus"
ACCURACIES = {"reliability": "Reliability", "generalization": "Generalization", "locality": "Locality"}
PORTABILITY = {
    "portability_alias": "alias",
    "portability_inverse": "inverse",
    "portability_one_hop": "one hop",
}
FURTHER_LOCALITY = {
    "locality_other_attribute": "other attribute",
    "locality_distracting": "distracting neighbour",
    "locality_other_task": "other task",
}
KNOWN = frozenset([*METRICS, *ROME_METRICS, *PLUS_METRICS])
# The paper prints no row of the unedited model, so that steps are counted from the method that it calls the baseline.
BASELINE = "ft_l"
STEPS = (
    "At another scale a status compares the step from {} with the same step of the paper, which has no unedited row."
)


def files_of(request: Request, kind: str) -> list[tuple[str, Path]]:
    """Return the request's files of one kind (`metrics`, `costs` or `sequences`), each with its model."""
    return [(model, path) for model, path in request.files() if path.parent.name == kind]


def _read(request: Request, kind: str, columns: Sequence[str]) -> pd.DataFrame:
    frames = [read_csv(path, columns)[list(columns)].assign(model=model) for model, path in files_of(request, kind)]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=["model", *columns])


def metrics_of(request: Request) -> pd.DataFrame:
    """Return all means with their intervals: model, form, editor, protocol, scorer, metric, n, mean, low, high.

    Raises:
        DataError: a file is absent, lacks a column or names a metric that no item knows.
    """
    found = _read(request, "metrics", METRIC_COLUMNS)
    unknown = sorted(set(found["metric"]) - KNOWN)
    if unknown:
        raise DataError(f"metrics {unknown} are unknown; known are {', '.join(sorted(KNOWN))}")
    return found


def costs_of(request: Request) -> pd.DataFrame:
    """Return seconds and memory: model, form, editor, protocol, and the columns of the contract (empty: not measured).

    Raises:
        DataError: a file is absent or lacks a column.
    """
    return _read(request, "costs", COST_COLUMNS)


def curves_of(request: Request) -> pd.DataFrame:
    """Return what happens to weights and texts along a sequence: model, form, editor, and the contract's columns.

    Raises:
        DataError: a file is absent or lacks a column.
    """
    return _read(request, "sequences", SEQUENCE_COLUMNS)


def in_protocol(metrics: pd.DataFrame) -> pd.DataFrame:
    """Return the metrics with their protocol taken apart: `kind`, `edits` (at once, or one after another), `moment`.

    Raises:
        DataError: a protocol is none of `single`, `batch:<n>`, `sequence:<n>:<moment>`.
    """
    parts = metrics["protocol"].str.extract(r"^(single|batch|sequence)(?::(\d+))?(?::(immediate|checkpoint|final))?$")
    if parts[0].isna().any():
        raise DataError(f"protocols {sorted(set(metrics['protocol'][parts[0].isna()]))} are unknown")
    edits = pd.to_numeric(parts[1]).fillna(1).astype(int)
    return metrics.assign(kind=parts[0], edits=edits, moment=parts[2].fillna(""))


def cells_of(metrics: pd.DataFrame, name: Callable[[Mapping], tuple[str, str]]) -> list[Cell]:
    """Return means as cells.

    Args:
        metrics: rows of `metrics_of`.
        name: a row → the cell's data set and metric.
    """
    cells = []
    for row in metrics.to_dict("records"):
        low, high = (None if pd.isna(row[bound]) else row[bound] for bound in ("low", "high"))
        n = None if pd.isna(row["n"]) else int(row["n"])
        cells.append(Cell(row["model"], row["editor"], *name(row), row["mean"], low, high, n))
    return cells


def with_gaps(
    frame: pd.DataFrame, item: str, models: Sequence[str], dataset: str, metrics: Sequence[str]
) -> pd.DataFrame:
    """Return a table in which every editor has every metric on every model of ours, NOT_RUN where it has no number."""
    known = set(frame[["model", "method", "metric"]].itertuples(index=False, name=None))
    wanted = [(model, editor, metric) for model in models for editor in METHODS for metric in metrics]
    gaps = [
        dict.fromkeys(COLUMNS, "")
        | {"item": item, "model": model, "method": editor, "dataset": dataset, "metric": metric, "status": NOT_RUN}
        | {"note": "no number of the paper either"}
        for model, editor, metric in wanted
        if (model, editor, metric) not in known
    ]
    both = [part for part in (frame, pd.DataFrame(gaps, columns=COLUMNS)) if len(part)]
    return in_order(pd.concat(both, ignore_index=True) if both else frame, models)


def in_order(frame: pd.DataFrame, models: Iterable[str]) -> pd.DataFrame:
    """Return a table with our models first, and each model's editors in the order of `METHODS`, others last."""
    models = {model: place for place, model in enumerate(dict.fromkeys([*models, *frame["model"]]))}
    editors = {editor: place for place, editor in enumerate(METHODS)}
    places = frame["method"].map(lambda name: editors.get(name, len(editors))), frame["model"].map(models)
    keyed = frame.assign(_method=places[0], _model=places[1])
    return keyed.sort_values(["_model", "_method"], kind="stable").drop(columns=["_model", "_method"])


def models_of(request: Request) -> list[str]:
    """Return our models, each once."""
    return list(dict.fromkeys(request.models))


def table_of(
    request: Request,
    item: str,
    title: str,
    cells: Sequence[Cell],
    columns: Sequence[Column],
    *,
    dataset: str = "-",
    baseline: str = BASELINE,
    stands_for: Mapping[str, str] | None = None,
    notes: Sequence[str] = (),
) -> Table:
    """Return a table of all editors with ours beside the reported numbers.

    Args:
        dataset: of all cells.
        baseline: the editor from whose row steps are counted at another scale.
        stands_for: our models → those of the reported numbers; the request's settings if absent.
    """
    how = request.comparison()
    models = models_of(request)
    named = dict(how.stands_for) if stands_for is None else dict(stands_for)
    named = {model: paper for model, paper in named.items() if model in models}
    how = Comparison(named, exact=how.exact and stands_for is None, baseline=baseline)
    frame = compare(item, cells, request.reported(item), how)
    frame = with_gaps(frame, item, models, dataset, [column.metric for column in columns])
    shown = [column for column in columns if (frame["metric"] == column.metric).any()]
    return Table(frame, Layout(title, shown, notes=[notes_of(request), *notes]))


def in_role(request: Request, paper_model: str, reported_model: str) -> dict[str, str]:
    """Return our models that play a model of the paper → another model, whose numbers they are to stand beside."""
    known = request.settings.get("stands_for", {})
    return {model: reported_model for model in models_of(request) if known.get(model) == paper_model}
