"""Table 1: what the layer explains of Error Injection by ROME, and what tracing adds."""

from papers.localization.items.r2_table import one_cell
from shared.report.item_command import Request, Table, table_main


def make(request: Request) -> Table:
    """Compare the models of the scores."""
    return one_cell(request, "table_1", "Table 1: Error Injection by ROME")


if __name__ == "__main__":
    table_main(make, __doc__)
