"""Table 6: zsRE editing on the small models."""

from shared.report.editing_results import ZSRE_COLUMNS, editing_table
from shared.report.item_command import Request, Table, table_main


def make(request: Request) -> Table:
    """Compare editors on zsRE."""
    return editing_table(request, "table_6", "Table 6: zsRE, smaller models", "zsre", ZSRE_COLUMNS)


if __name__ == "__main__":
    table_main(make, __doc__)
