"""Table 4: the sentences that activate a fact's neurons most and least."""

import pandas as pd

from shared.report.item_command import Listing, Request, table_main

SHOWN = 2


def make(request: Request) -> Listing:
    """List the sentences of the first fact with enough of them, for each chosen relation."""
    ((model, path),) = request.files()
    frame = pd.read_csv(path)
    rows = []
    for relation in request.settings["sentences"]:
        own = frame[frame["relation"] == relation]
        enough = [line for line, facts in own.groupby("line") if len(facts) >= 2 * SHOWN]
        for line in enough[:1]:
            ranked = own[own["line"] == line].sort_values("score", ascending=False)
            for place, part in (("most", ranked.head(SHOWN)), ("least", ranked.tail(SHOWN))):
                rows += [[relation, line, place, f"{one.score:.3f}", one.sentence] for one in part.itertuples()]
    notes = [f"Model: {model}. Score: sum of the activations of the fact's neurons at the hidden tail."]
    columns = ["relation", "fact", "activates", "score", "sentence"]
    return Listing("Table 4: sentences about a fact", notes, pd.DataFrame(rows, columns=columns))


if __name__ == "__main__":
    table_main(make, __doc__)
