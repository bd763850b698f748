"""Table 2 (and Table 10): edits in words, with what the model answers before and after."""

import pandas as pd

from shared.records import read_jsonl
from shared.report.item_command import Listing, Request, table_main

NOTE = (
    "Each block is one edit of the unedited model by the trained MEND editor; answers are greedy. The edited "
    "question comes first, then a rephrased one, the same relation of another subject, and other facts of the subject."
)


def make(request: Request) -> Listing:
    """Return the edits and answers."""
    rows = [row for _, path in request.files() for row in read_jsonl(path)]
    columns = ["edit", "asked", "question", "wanted", "before", "after"]
    return Listing("Table 2: edits in words", [NOTE], pd.DataFrame(rows, columns=columns))


if __name__ == "__main__":
    table_main(make, __doc__)
