"""Table 1: what the paper says that editors can do."""

import pandas as pd

from shared.report.item_command import Listing, Request, table_main

# The paper's own marks, in the order of its columns.
MARKS = {
    "FT": ("yes", "yes", "yes", "yes", "no"),
    "FT+KL": ("yes", "no", "yes", "yes", "no"),
    "ENN": ("no", "yes", "yes", "no", "yes"),
    "KE": ("yes", "yes", "in doubt", "yes", "yes"),
    "MEND": ("yes", "yes", "yes", "yes", "yes"),
}
COLUMNS = (
    "leaves the base model as it is",
    "needs nothing but input and answer",
    "edits several facts at once",
    "scales to ten billion parameters",
    "edits in few steps",
)
NOTE = "The paper's statements about the methods. Tables 4 and 5 measure what can be measured on small models."


def make(request: Request) -> Listing:
    """Return the paper's comparison."""
    rows = [{"editor": editor} | dict(zip(COLUMNS, marks, strict=True)) for editor, marks in MARKS.items()]
    return Listing("Table 1: what editors can do", [NOTE], pd.DataFrame(rows))


if __name__ == "__main__":
    table_main(make, __doc__)
