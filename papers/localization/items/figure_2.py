"""Figure 2: a causal trace of one fact, wide MLP windows."""

import numpy as np
import pandas as pd

from shared.errors import ConfigError
from shared.records import read_jsonl
from shared.report.drawing import heat_map
from shared.report.item_command import Drawing, Request, figure_main
from shared.report.plots import COLUMN_INCHES, new_figure


def make(request: Request) -> Drawing:
    """Draw the probability of the true object with each window restored at each token of the prompt."""
    ((model, path),) = request.files()
    trace = _chosen(list(read_jsonl(path)), request.settings["fact"])
    window = str(request.settings["wide"])
    first, stop = trace["subject_range"]
    restored = np.array(trace["restored"][window])
    cells = np.concatenate([np.full((first, restored.shape[1]), trace["corrupted"]), restored])
    rows = [token.strip() + ("*" if first <= place < stop else "") for place, token in enumerate(trace["tokens"])]
    figure, axes = new_figure(1, 1, width=COLUMN_INCHES + 0.6, height=0.9 + 0.16 * len(rows))
    title = f"p = {trace['clean']:.3f} clean, {trace['corrupted']:.3f} noised"
    high = max(float(cells.max()), trace["corrupted"] + 1e-9)
    unit = f"p({trace['target'].strip()})"
    heat_map(axes[0, 0], cells, "mlp", rows, low=trace["corrupted"], high=high, unit=unit, title=title)
    axes[0, 0].set_xlabel(f"layer at the centre of {window} restored MLPs")
    lines = [
        {"position": place, "token": rows[place], "layer": layer, "value": value}
        for place, line in enumerate(cells)
        for layer, value in enumerate(line)
    ]
    known = {name: trace[name] for name in ("case_id", "subject", "target", "clean", "corrupted")}
    return Drawing(figure, pd.DataFrame(lines).assign(model=model, window=int(window), **known))


def _chosen(traces: list[dict], wanted: int | str) -> dict:
    """Return the trace at a position, or of a subject (ConfigError if there is none)."""
    found = traces[wanted : wanted + 1] if isinstance(wanted, int) else [t for t in traces if t["subject"] == wanted]
    if not found:
        raise ConfigError(f"{len(traces)} facts were traced, none is {wanted!r}: choose a position or another subject")
    return found[0]


if __name__ == "__main__":
    figure_main(make, __doc__)
