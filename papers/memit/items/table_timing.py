"""How long methods take for n edits at once, measured in this run, and what 10,000 edits would take."""

import numpy as np
import pandas as pd

from shared.editing.methods import title_of
from shared.report.editing_results import read_csv
from shared.report.item_command import Listing, Request, table_main

TARGET = 10_000
COLUMNS = ["method", "part", "n", "seconds", "peak_mib"]
WHOLE = "whole edit"


def at_target(lines: pd.DataFrame) -> float:
    """Return the seconds of 10,000 edits: the largest measured size's, and what each further edit takes.

    A further edit takes what it took between the two largest sizes, or on average where only one was measured.
    """
    ordered = lines.sort_values("n")
    n, seconds = ordered["n"].to_numpy(float), ordered["seconds"].to_numpy(float)
    each = (seconds[-1] - seconds[-2]) / (n[-1] - n[-2]) if len(n) > 1 else seconds[-1] / n[-1]
    return seconds[-1] + max(each, 0.0) * (TARGET - n[-1])


def make(request: Request) -> Listing:
    """List seconds, seconds per edit, memory, the extrapolation and the paper's seconds."""
    paper = {row.method: row.value for row in request.reported("table_timing") if row.metric == "seconds"}
    parts = {row.metric: row.value for row in request.reported("table_timing") if row.metric != "seconds"}
    lines = []
    for model, path in request.files():
        frame = read_csv(path, COLUMNS)
        for (method, part), own in frame.groupby(["method", "part"], sort=False):
            reported = paper.get(method) if part == WHOLE else parts.get(part)
            for line in own.itertuples():
                last = line.n == own["n"].max()
                lines.append(
                    {
                        "model": model,
                        "method": title_of(method),
                        "part": part,
                        "edits": int(line.n),
                        "seconds": f"{line.seconds:.2f}",
                        "ms per edit": f"{1000 * line.seconds / line.n:.1f}",
                        "memory, MiB": "" if np.isnan(line.peak_mib) else f"{line.peak_mib:.0f}",
                        "s for 10,000 (extrapolated)": f"{at_target(own):.0f}" if last else "",
                        "paper, GPT-J, 10,000: s": f"{reported:g}" if last and reported else "",
                    }
                )
    notes = [
        "Measurements of this run's machine: they differ from run to run, and no claim rests on them.",
        "Memory is what the process takes beyond what it held before, models and second moments loaded.",
        "Extrapolated: the largest measured size and, for each further edit, what one took between the two largest.",
    ]
    return Listing("Seconds per edit", notes, pd.DataFrame(lines))


if __name__ == "__main__":
    table_main(make, __doc__)
