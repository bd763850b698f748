"""Table 10: what is left of an old fact after newer ones were edited in."""

from shared.report.editing_results import editing_table
from shared.report.item_command import Request, Table, table_main
from shared.report.layouts import Column

COLUMNS = [
    Column("memorisation_ratio", "Memorisation ratio", 2),
    Column("probability_first", "P after the first edit"),
    Column("probability_last", "P after all edits"),
]


def make(request: Request) -> Table:
    """Compare the editors."""
    return editing_table(request, "table_10", "Table 10: time-aware editing", "templama", COLUMNS)


if __name__ == "__main__":
    table_main(make, __doc__)
