"""Table 11: a cache as editor."""

from papers.mend.items.results import table_of
from shared.report.item_command import Request, Table, table_main

METHODS = ["none", "cache_half", "cache", "cache_double", "mend"]


def make(request: Request) -> Table:
    """Compare the cache at three thresholds with MEND."""
    return table_of(request, "table_11", "Table 11: a cache, at three thresholds", METHODS)


if __name__ == "__main__":
    table_main(make, __doc__)
