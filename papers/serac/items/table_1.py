"""The main table: every editor on every problem, with ten edits held at once."""

from papers.serac.items.results import PROBLEMS, table_of
from shared.report.item_command import Request, Table, table_main

METHODS = ["none", "ft", "cache", "mend", "enn", "rp", "serac"]


def make(request: Request) -> Table:
    """Compare all editors."""
    names = {name: name for name in METHODS}
    return table_of(request, "table_1", "Table 1: ten edits at once", dict.fromkeys(PROBLEMS, names))


if __name__ == "__main__":
    table_main(make, __doc__)
