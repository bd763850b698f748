"""Table 4: CounterFact editing on the main models."""

from shared.report.editing_results import COUNTERFACT_COLUMNS, EXTRA_COLUMNS, editing_table
from shared.report.item_command import Request, Table, table_main


def make(request: Request) -> Table:
    """Compare editors on CounterFact."""
    columns = [*COUNTERFACT_COLUMNS, *EXTRA_COLUMNS]
    return editing_table(request, "table_4", "Table 4: CounterFact", "counterfact", columns)


if __name__ == "__main__":
    table_main(make, __doc__)
