"""The same edits under every protocol and scorer, side by side."""

from papers.survey.items.measures import MEASURES, measured
from papers.survey.items.results import cells_of, metrics_of, table_of
from shared.report.item_command import Request, Table, table_main
from shared.report.layouts import Column

FORM = "counterfact"
COLUMNS = [Column(name, measure.title) for name, measure in MEASURES.items()]
NOTES = [
    "In percent, CounterFact facts. Every column is called success, generalization or specificity somewhere in the "
    "literature; only numbers of one column may be compared. Batch and sequence are the longest that were run.",
]


def make(request: Request) -> Table:
    """Show every editor under every measure."""
    rows = measured(metrics_of(request))
    cells = cells_of(rows[rows["form"] == FORM], lambda row: (FORM, row["measure"]))
    title = "One set of edits under all protocols and scorers"
    return table_of(request, "table_protocols", title, cells, COLUMNS, dataset=FORM, notes=NOTES)


if __name__ == "__main__":
    table_main(make, __doc__)
