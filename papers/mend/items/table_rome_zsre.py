"""MEND and KnowledgeEditor as baselines on zsRE: rows of the ROME paper's Table 1."""

from shared.editing_results import ZSRE_COLUMNS, editing_table
from shared.item_command import Request, Table, table_main

METHODS = ["ke", "ke_zsre", "mend", "mend_zsre"]


def make(request: Request) -> Table:
    """Compare learned editors on zsRE with what the ROME paper reports of them."""
    return editing_table(request, "table_rome_zsre", "MEND and KnowledgeEditor on zsRE", "zsre", ZSRE_COLUMNS, METHODS)


if __name__ == "__main__":
    table_main(make, __doc__)
