"""Table 3: editors on large models."""

from papers.mend.items.results import table_of
from shared.report.item_command import Request, Table, table_main

METHODS = ["none", "ft", "ft_kl", "ke", "mend"]


def make(request: Request) -> Table:
    """Compare editors on the paper's large models."""
    return table_of(request, "table_3", "Table 3: large models", METHODS)


if __name__ == "__main__":
    table_main(make, __doc__)
