"""Table 5: the words that slots promote."""

import pandas as pd

from papers.calinet.items.results import scale_note
from shared.report.item_command import Listing, Request, table_main


def make(request: Request) -> Listing:
    """List slots with their ten most promoted tokens and the share that begin calibrated objects."""
    ((model, path),) = request.files()
    frame = pd.read_csv(path)
    shares = frame.groupby("kind", sort=False)["share"].mean()
    told = ", ".join(f"{share:.2f} in {kind} slots" for kind, share in shares.items())
    notes = [
        scale_note(request),
        f"Model: {model}. Share: of the ten tokens that a slot's value promotes most, those that begin a calibrated "
        f"fact's right object; on average {told}.",
    ]
    return Listing("Table 5: words of slots", notes, frame[["kind", "slot", "share", "tokens"]])


if __name__ == "__main__":
    table_main(make, __doc__)
