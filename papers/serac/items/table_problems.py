"""The problems in words: edits, inputs in and out of their scope, and what becomes of the answers."""

import pandas as pd

from papers.serac.items.results import PROBLEMS
from shared.records import read_jsonl
from shared.report.item_command import Listing, Request, table_main

COLUMNS = ["problem", "edit", "asked", "input", "wanted", "covered_by", "right_before", "right_after", "same"]
NOTE = (
    "Ten edits are held at once; the first of them are shown. `covered_by` is the edit that an input was found in the "
    "scope of, if any; `same` says that the predictions are the unedited model's, bit for bit."
)


def make(request: Request) -> Listing:
    """Return the rows of the main variant of every problem."""
    rows = []
    for (_, path), problem in zip(request.files(), request.settings["datasets"], strict=True):
        rows += [row | {"problem": PROBLEMS[problem]} for row in read_jsonl(path) if row["editor"] == "serac"]
    return Listing("The problems in words", [NOTE], pd.DataFrame(rows, columns=COLUMNS))


if __name__ == "__main__":
    table_main(make, __doc__)
