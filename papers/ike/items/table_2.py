"""Table 2: IKE, PROMPT and editors of weights on CounterFact."""

from shared.report.editing_results import COUNTERFACT_COLUMNS, editing_table
from shared.report.item_command import Request, Table, table_main

COLUMNS = [column for column in COUNTERFACT_COLUMNS if column.title not in {"GE", "RS"}]


def make(request: Request) -> Table:
    """Compare the editors."""
    return editing_table(request, "table_2", "Table 2: CounterFact", "counterfact", COLUMNS)


if __name__ == "__main__":
    table_main(make, __doc__)
