"""Table 1: zsRE editing on the main model."""

from papers.rome.items.command import Request, Table, table_main
from papers.rome.items.results import ZSRE_COLUMNS, editing_table


def make(request: Request) -> Table:
    """Compare editors on zsRE."""
    return editing_table(request, "table_1", "Table 1: zsRE", "zsre", ZSRE_COLUMNS)


if __name__ == "__main__":
    table_main(make, __doc__)
