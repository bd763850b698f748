"""Table 5: several facts in one edit."""

from papers.mend.items.results import table_of
from shared.report.item_command import Request, Table, table_main

METHODS = {
    f"{method}{pairs}": f"{method}{pairs}"
    for method in ("ft", "ke", "enn", "mend")
    for pairs in ("", "_5", "_25", "_75", "_125")
} | {"none": "none"}


def make(request: Request) -> Table:
    """Compare editors by the number of pairs that one edit writes."""
    return table_of(
        request,
        "table_5",
        "Table 5: several facts in one edit",
        METHODS,
        ["A name ends with the number of pairs in an edit; without one it is one."],
    )


if __name__ == "__main__":
    table_main(make, __doc__)
