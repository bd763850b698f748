"""Table 4: questions answered after calibration and tuning."""

import pandas as pd

from papers.calinet.items.results import TITLES, percent, scale_note
from shared.report.item_command import Request, Table, table_main
from shared.report.layouts import Column, Layout
from shared.report.tables import Cell, compare

METRICS = {"exact_match": ("exact", "EM"), "overlap": ("overlap", "F1")}
PARTS = {"related": ("calibrated", True), "rest": ("others", False)}
COLUMNS = [
    Column(f"{metric}_{part}", f"{title}, {name}", 1)
    for part, (name, _) in PARTS.items()
    for metric, (_, title) in METRICS.items()
]


def make(request: Request) -> Table:
    """Return EM and F1 on questions about calibrated facts, and on the others."""
    cells = []
    for model, path in request.files():
        frame = pd.read_csv(path)
        for method, title in TITLES.items():
            for part, (_, related) in PARTS.items():
                own = frame[(frame["model"] == method) & (frame["related"] == related)]
                if own.empty:
                    continue
                for metric, (column, _) in METRICS.items():
                    found = percent(own[column])
                    numbers = (found.mean, found.low, found.high, found.n)
                    cells.append(Cell(model, title, "questions", f"{metric}_{part}", *numbers))
    notes = [
        scale_note(request),
        "EM and F1 in percent. Calibrated: facts that the uncalibrated model, tuned on questions, answered wrong in "
        "one wording; all are asked in another one, after the same tuning. The paper's numbers are not known to us.",
    ]
    frame = compare("table_4", cells, request.reported("table_4"), request.comparison())
    return Table(frame, Layout("Table 4: questions after calibration", COLUMNS, "Model", notes))


if __name__ == "__main__":
    table_main(make, __doc__)
