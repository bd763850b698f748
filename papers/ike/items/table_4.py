"""Table 4: IKE on models of several sizes."""

from shared.report.editing_results import COUNTERFACT_COLUMNS, editing_table
from shared.report.item_command import Request, Table, table_main

COLUMNS = [column for column in COUNTERFACT_COLUMNS if column.title in {"PS", "PM", "NS", "NM"}]


def make(request: Request) -> Table:
    """Compare the models."""
    methods = ["prompt", "ike"]
    return editing_table(request, "table_4", "Table 4: models of several sizes", "counterfact", COLUMNS, methods)


if __name__ == "__main__":
    table_main(make, __doc__)
