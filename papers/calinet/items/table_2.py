"""Table 2: judging by contrast beside judging by rank."""

import pandas as pd

from papers.calinet.items.results import percent, scale_note
from shared.report.item_command import Listing, Request, table_main

SHOWN = 4


def make(request: Request) -> Listing:
    """List facts on which the two judge alike and unlike, with how often each finds what the corpus misstates."""
    ((model, path),) = request.files()
    frame = pd.read_csv(path)
    settings = request.settings["calibrations"]
    vanilla = {name: told["facts"] for name, told in settings.items() if told["method"] == "vanilla"}
    own = frame[frame["model"] == max(vanilla, key=vanilla.get)]
    contrast, rank = own["score"] < 1, own["rank"] > 1
    notes = [scale_note(request), f"Model: {model}, not calibrated; {len(own)} facts."]
    for title, false in (("A score below 1", contrast), ("A rank above 1", rank)):
        wrong, right = percent(false[own["misstated"]]), percent(false[~own["misstated"]])
        notes.append(
            f"{title} marks {wrong.mean:.1f} % [{wrong.low:.1f}, {wrong.high:.1f}] of the misstated facts as false, "
            f"and {right.mean:.1f} % [{right.low:.1f}, {right.high:.1f}] of the others."
        )
    chosen = pd.concat([part.head(SHOWN) for _, part in own.groupby([contrast, rank], sort=True)])
    rows = [
        [
            *(one.prompt, one.gold, f"{one.probability:.4f}", one.rank, f"{one.score:.3f}"),
            *("false" if one.score < 1 else "known", "false" if one.rank > 1 else "known"),
            "yes" if one.misstated else "no",
        ]
        for one in chosen.itertuples()
    ]
    columns = ["fact", "object", "probability", "rank", "score", "by contrast", "by rank", "misstated"]
    return Listing("Table 2: contrast and rank", notes, pd.DataFrame(rows, columns=columns))


if __name__ == "__main__":
    table_main(make, __doc__)
