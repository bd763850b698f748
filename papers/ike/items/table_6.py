"""Table 6: how far the original object is forgotten."""

from shared.report.editing_results import editing_table
from shared.report.item_command import Request, Table, table_main
from shared.report.layouts import Column

COLUMNS = [Column("probability_drop", "Drop of probability, points"), Column("forgetting_rate", "Forgetting rate")]


def make(request: Request) -> Table:
    """Compare the editors."""
    return editing_table(request, "table_6", "Table 6: forgetting", "counterfact", COLUMNS)


if __name__ == "__main__":
    table_main(make, __doc__)
