"""ROME's released key handling beside r-ROME's and p-ROME's (Gupta et al. 2024, arXiv:2403.07175)."""

from shared.report.editing_results import COUNTERFACT_COLUMNS, EXTRA_COLUMNS, editing_table
from shared.report.item_command import Request, Table, table_main

METHODS = ["rome", "r_rome", "p_rome"]


def make(request: Request) -> Table:
    """Compare which keys enter the update; the paper has no such table."""
    columns = [*COUNTERFACT_COLUMNS, *EXTRA_COLUMNS]
    return editing_table(request, "key_handling", "Key handling", "counterfact", columns, METHODS)


if __name__ == "__main__":
    table_main(make, __doc__)
