"""Table 5: over-editing, by the contrastive knowledge assessment."""

from shared.report.editing_results import editing_table
from shared.report.item_command import Request, Table, table_main
from shared.report.layouts import Column

COLUMNS = [
    Column("contrast", "Contrast", 2),
    Column("false_rate_1.0", "False rate below 1.0"),
    Column("false_rate_1.1", "False rate below 1.1"),
]


def make(request: Request) -> Table:
    """Compare the editors."""
    return editing_table(request, "table_5", "Table 5: over-editing", "counterfact", COLUMNS)


if __name__ == "__main__":
    table_main(make, __doc__)
