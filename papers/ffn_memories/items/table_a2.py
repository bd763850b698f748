"""Table 2 (2021): values whose best token follows their trigger examples."""

import pandas as pd

from shared.report.item_command import Listing, Request, table_main

SHOWN = 6


def make(request: Request) -> Listing:
    """List values of several layers by the share of trigger examples that go on with their best token."""
    ((model, path),) = request.files()
    frame = pd.read_csv(path, keep_default_na=False)
    best = frame.sort_values(["precision", "probability"], ascending=False, kind="stable")
    shown = best.drop_duplicates("token").head(SHOWN)
    notes = [
        f"Model: {model}. Layers and keys from 0. Share of the {int(frame['examples'].iloc[0])} best trigger examples "
        "whose next token is the value's best; one value per token."
    ]
    rows = [[one.layer, one.key, one.token, f"{100 * one.precision:.0f} %"] for one in shown.itertuples()]
    columns = ["layer", "value", "best token", "precision"]
    return Listing("Table 2 (2021): values and next tokens", notes, pd.DataFrame(rows, columns=columns))


if __name__ == "__main__":
    table_main(make, __doc__)
