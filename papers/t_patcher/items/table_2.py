"""Table 2: all edits as one stream."""

import pandas as pd

from papers.t_patcher.items.results import COLUMNS, against, cells_of, look_of, notes_of
from shared.report.item_command import Request, Table, table_main
from shared.report.layouts import Column, Layout
from shared.report.tables import Cell, compare

EDITORS = ("t_patcher", "no_memory", "ft_all_kl")
COUNTS = {"mistakes": "N", "edits": "E", "patches": "patches", "seconds_per_edit": "s per edit"}


def counts_of(request: Request) -> list[Cell]:
    """Return mistakes of the unedited model, edits made, patches, and seconds of wall time per edit."""
    cells = []
    for model, path in request.files():
        frame, dataset = pd.read_csv(path), request.settings["datasets"][model]
        frame["seconds_per_edit"] = frame["seconds"] / frame["edits"].where(frame["edits"] > 0)
        for line in frame[frame["editor"].isin(EDITORS)].to_dict("records"):
            title = look_of(line["editor"]).title
            cells += [Cell(model, title, dataset, name, line[name], n=1) for name in COUNTS if pd.notna(line[name])]
    return cells


def make(request: Request) -> Table:
    """Return the single stream's numbers beside the paper's."""
    cells = cells_of(request, EDITORS) + counts_of(request)
    frame = compare("table_2", cells, request.reported("table_2"), against(request, "t_patcher"))
    columns = [*COLUMNS, *(Column(name, title, 2 if "second" in name else 0) for name, title in COUNTS.items())]
    notes = notes_of(
        request,
        "t_patcher",
        "N: mistakes of the unedited model. E: edits made. Seconds: wall time with this run's load.",
    )
    return Table(frame, Layout("Table 2: one long stream of edits", columns, notes=notes))


if __name__ == "__main__":
    table_main(make, __doc__)
