"""Table 8: fits of two scores of Error Injection by ROME on zsRE."""

from papers.localization.items.r2_table import fits
from shared.report.item_command import Request, Table, table_main


def make(request: Request) -> Table:
    """Compare the models of the scores."""
    return fits(request, "table_8", "Table 8: fits on zsRE")


if __name__ == "__main__":
    table_main(make, __doc__)
