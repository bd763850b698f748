"""Table 9: sequences of dated facts, in the order of the edits."""

import pandas as pd

from papers.ike.sequences import read_sequences
from shared.data.templates import fill
from shared.report.item_command import Listing, Request, table_main

SHOWN = 4


def make(request: Request) -> Listing:
    """List the first sequences."""
    ((_, path),) = request.files()
    lines = [
        [edit.case_id, fill(edit.prompt, edit.subject), edit.target_new]
        for sequence in read_sequences(path)[:SHOWN]
        for edit in sequence
    ]
    frame = pd.DataFrame(lines, columns=["sequence", "prompt", "object"])
    return Listing("Table 9: facts that change over time", ["The first sequences of the data."], frame)


if __name__ == "__main__":
    table_main(make, __doc__)
