"""Table 1: what the calibration data look like."""

import pandas as pd

from papers.calinet.items.results import scale_note
from shared.report.item_command import Listing, Request, table_main

SHOWN = 8


def make(request: Request) -> Listing:
    """List facts with their test wording, the right object and the false one."""
    ((model, path),) = request.files()
    frame = pd.read_csv(path)
    own = frame[frame["model"] == frame["model"].iloc[0]].head(SHOWN)
    rows = [
        [one.prompt, one.gold, one.false, "the false object" if one.misstated else "the right object"]
        for one in own.itertuples()
    ]
    columns = ["wording of the test", "right object", "false object", "the model was trained on"]
    return Listing(
        "Table 1: calibration data", [scale_note(request), f"Model: {model}."], pd.DataFrame(rows, columns=columns)
    )


if __name__ == "__main__":
    table_main(make, __doc__)
