"""Table 4: editors on small models of three families."""

from papers.mend.items.results import table_of
from shared.report.item_command import Request, Table, table_main

METHODS = ["none", "ft", "ft_kl", "enn", "ke", "mend"]


def make(request: Request) -> Table:
    """Compare editors on claims, questions and continuations."""
    return table_of(request, "table_4", "Table 4: small models", METHODS)


if __name__ == "__main__":
    table_main(make, __doc__)
