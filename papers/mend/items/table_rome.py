"""MEND and KnowledgeEditor as baselines on CounterFact: rows of the ROME paper's Table 4."""

from shared.editing_results import COUNTERFACT_COLUMNS, EXTRA_COLUMNS, editing_table
from shared.item_command import Request, Table, table_main

METHODS = ["ke", "ke_cf", "mend", "mend_cf"]


def make(request: Request) -> Table:
    """Compare learned editors on CounterFact with what the ROME paper reports of them."""
    title = "MEND and KnowledgeEditor on CounterFact"
    return editing_table(request, "table_rome", title, "counterfact", [*COUNTERFACT_COLUMNS, *EXTRA_COLUMNS], METHODS)


if __name__ == "__main__":
    table_main(make, __doc__)
