"""Table 1 (2021): what the trigger examples of some keys have in common."""

import pandas as pd

from shared.report.item_command import Listing, Request, table_main

SHOWN = 2


def make(request: Request) -> Listing:
    """List the keys with the best covered examples of each layer."""
    ((model, path),) = request.files()
    frame = pd.read_csv(path, keep_default_na=False)
    own = frame[frame["examples"] == "trigger"]
    ranked = own.sort_values(["layer", "not covered", "patterns"], ascending=[True, True, False], kind="stable")
    shown = ranked.groupby("layer").head(SHOWN)
    notes = [
        f"Model: {model}. Properties that at least three of a key's 25 best trigger examples share, three times as "
        f"often as random prefixes do. Of {len(own)} keys {int((own['patterns'] > 0).sum())} have at least one, on "
        f"average {own['patterns'].mean():.1f} (the paper, by people: all 160, 3.6); "
        f"{100 * (1 - own['not covered'].mean()):.0f} % of the examples have one."
    ]
    columns = {"layer": "layer", "key": "key", "best": "patterns (examples)", "example": "best example"}
    return Listing("Table 1 (2021): patterns of keys", notes, shown[list(columns)].rename(columns=columns))


if __name__ == "__main__":
    table_main(make, __doc__)
