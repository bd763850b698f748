"""Table 6: what MEND's parts are worth."""

from papers.mend.items.results import table_of
from shared.report.item_command import Request, Table, table_main

METHODS = ["none", "full", "no_sharing", "no_norm", "no_id_init", "only_u", "only_delta", "only_smaller"]


def make(request: Request) -> Table:
    """Compare MEND without one of its parts."""
    return table_of(request, "table_6", "Table 6: ablations", METHODS)


if __name__ == "__main__":
    table_main(make, __doc__)
