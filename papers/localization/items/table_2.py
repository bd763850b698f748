"""Table 2: the same on facts whose tracing effect is concentrated in few layers."""

from papers.localization.items.r2_table import one_cell
from shared.report.item_command import Request, Table, table_main


def make(request: Request) -> Table:
    """Compare the models of the scores."""
    return one_cell(request, "table_2", "Table 2: facts with a concentrated tracing effect", subset="concentrated")


if __name__ == "__main__":
    table_main(make, __doc__)
