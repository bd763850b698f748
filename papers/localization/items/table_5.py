"""Table 5: neighborhood score, five problems, four editors."""

from papers.localization.items.r2_table import all_cells
from shared.report.item_command import Request, Table, table_main


def make(request: Request) -> Table:
    """Compare the models of the scores."""
    return all_cells(request, "table_5", "Table 5", "neighborhood")


if __name__ == "__main__":
    table_main(make, __doc__)
