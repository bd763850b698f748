"""From traced facts to average effects: `python -m papers.rome.average --help`."""

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from papers.rome.effects import Traces, category_effects, read_traces, severed_effects, summary
from shared import runtime
from shared.errors import reported
from shared.measures.measure import PERCENT, write_frame

log = logging.getLogger(__name__)
KINDS = ("state", "mlp", "attention")
SEVERED = "severed"


def effects(traces: Traces) -> pd.DataFrame:
    """Return the average effects of every kind of restoration by token category and layer, in percent.

    Where facts have severed curves, these follow as kind `severed`, with what was severed as their category.

    Returns:
        Columns kind, category, layer, value, low, high, n.
    """
    parts = [category_effects(traces.rows, kind) for kind in KINDS]
    if all(SEVERED in row for row in traces.rows):
        parts.append(severed_effects(traces.rows).rename(columns={"curve": "category"}).assign(kind=SEVERED))
    frame = pd.concat(parts).rename(columns={"effect": "value"})
    frame[["value", "low", "high"]] *= PERCENT
    return frame[["kind", "category", "layer", "value", "low", "high", "n"]]


@reported(log)
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m papers.rome.average", description=__doc__)
    parser.add_argument("--traces", type=Path, required=True, nargs="+", help="rows of papers.rome.tracing")
    parser.add_argument("--effects", type=Path, required=True, help="CSV to write, by token category and layer")
    parser.add_argument("--numbers", type=Path, required=True, help="CSV to write, the numbers of the paper's text")
    options = parser.parse_args(arguments)
    runtime.start_logging()
    traces = read_traces(options.traces)
    write_frame(effects(traces), options.effects, index=False)
    write_frame(summary(traces.rows), options.numbers, index=False)
    log.info("%d of %d facts are known", len(traces.rows), traces.asked)


if __name__ == "__main__":
    main()
