"""Table 3: what the demonstrations contribute."""

from dataclasses import replace

from shared.report.editing_results import COUNTERFACT_COLUMNS, cells_of, notes_of
from shared.report.item_command import Request, Table, table_main
from shared.report.layouts import Layout
from shared.report.tables import compare

COLUMNS = [column for column in COUNTERFACT_COLUMNS if column.title in {"S", "ES", "PS", "NS"}]
FULL = "ike"


def make(request: Request) -> Table:
    """Compare the ablations with the full method, from which their changes are counted."""
    ((model, path),) = request.files()
    how = replace(request.comparison(), baseline=FULL)
    frame = compare("table_3", cells_of(path, model, "counterfact"), request.reported("table_3"), how)
    notes = [notes_of(request), "Statuses count changes from the full method (IKE), not from the unedited model."]
    return Table(frame, Layout("Table 3: ablations", COLUMNS, row_title="Demonstrations", notes=notes))


if __name__ == "__main__":
    table_main(make, __doc__)
