"""The main results on zsRE facts."""

from papers.survey.items.main_results import main_table
from shared.report.item_command import Request, Table, table_main


def make(request: Request) -> Table:
    """Compare all editors by single edits."""
    return main_table(request, "table_zsre", "zsre")


if __name__ == "__main__":
    table_main(make, __doc__)
