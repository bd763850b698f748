"""Tables 1 and 3 (2022): values with the concepts that their best tokens share."""

import pandas as pd

from shared.report.item_command import Listing, Request, table_main

SHOWN = 2


def make(request: Request) -> Listing:
    """List the values with most tokens of each concept."""
    ((model, path),) = request.files()
    frame = pd.read_csv(path, keep_default_na=False)
    own = frame[(frame["vector"] == "value") & (frame["concept"] != "")]
    ranked = own.sort_values(["concept", "count", "probability"], ascending=[True, False, False], kind="stable")
    shown = ranked.groupby("concept").head(SHOWN)
    share = {name: 100 * (part["count"].sum() / (30 * len(part))) for name, part in frame.groupby("vector")}
    notes = [
        f"Model: {model}. A token's concept is its class in the world. {share['value']:.1f} % of the values' 30 best "
        f"tokens are of their value's concept, {share['random']:.1f} % for random vectors (the paper's annotators: 37 "
        "and 16 for GPT-2, 55.1 and 22.7 for WikiLM)."
    ]
    columns = ["concept", "layer", "key", "count", "tokens"]
    return Listing("Tables 1 and 3 (2022): values and concepts", notes, shown[columns])


if __name__ == "__main__":
    table_main(make, __doc__)
