"""Appendix E.5: ROME with other sets of prefixes before the edited prompt."""

from dataclasses import replace

from shared.report.editing_results import COUNTERFACT_COLUMNS, cells_of, notes_of
from shared.report.item_command import Request, Table, table_main
from shared.report.layouts import Layout
from shared.report.tables import compare


def make(request: Request) -> Table:
    """Compare the sets of prefixes; the paper's numbers are its Scores."""
    cells = [cell for model, path in request.files() for cell in cells_of(path, model, "counterfact")]
    paper = [
        replace(row, method=row.metric.removeprefix("score_"), metric="score")
        for row in request.reported("appendix_e5")
    ]
    frame = compare("appendix_e5", cells, paper, request.comparison())
    columns = [column for column in COUNTERFACT_COLUMNS if (frame["metric"] == column.metric).any()]
    notes = [notes_of(request), "Values in percent."]
    return Table(frame, Layout("Appendix E.5: prefixes", columns, row_title="Prefixes", notes=notes))


if __name__ == "__main__":
    table_main(make, __doc__)
