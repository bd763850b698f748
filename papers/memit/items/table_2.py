"""Table 2: many facts of CounterFact edited at once."""

from shared.report.editing_results import COUNTERFACT_COLUMNS, editing_table
from shared.report.item_command import Request, Table, table_main
from shared.report.layouts import Column

# The paper's columns; the magnitudes are ROME's.
PAPERS = [column for column in COUNTERFACT_COLUMNS if not column.metric.endswith("magnitude")]
ACCURACIES = [
    Column("efficacy_accuracy", "EA"),
    Column("paraphrase_accuracy", "PA"),
    Column("neighborhood_accuracy", "NA"),
]


def make(request: Request) -> Table:
    """Compare editors on CounterFact."""
    return editing_table(
        request, "table_2", "Table 2: CounterFact, edited at once", "counterfact", [*PAPERS, *ACCURACIES]
    )


if __name__ == "__main__":
    table_main(make, __doc__)
