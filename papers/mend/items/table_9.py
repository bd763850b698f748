"""Table 9: attention edited instead of MLPs."""

from papers.mend.items.results import table_of
from shared.report.item_command import Request, Table, table_main

METHODS = ["none", "attention", "full"]


def make(request: Request) -> Table:
    """Compare MEND on attention with MEND on MLPs."""
    return table_of(request, "table_9", "Table 9: attention or MLPs", METHODS)


if __name__ == "__main__":
    table_main(make, __doc__)
