"""Figures 4, 5 and 6: calibration over the number of facts, of slots, and over layers."""

import pandas as pd

from papers.calinet.items.results import measured
from shared.report.drawing import legend_below
from shared.report.item_command import Drawing, Request, figure_main
from shared.report.plots import PAGE_INCHES, new_figure

PANELS = {"facts": "facts calibrated at once", "slots": "slots", "layer": "layer of the slots"}
LINES = {"exact_match": ("EM", "#0072B2", "o"), "false_rate": ("false rate", "#D55E00", "s")}


def frame_of(request: Request) -> pd.DataFrame:
    """Return, per panel and metric, the value at each setting; a layer that is not named is the last."""
    ((model, path),) = request.files()
    said, rows = pd.read_csv(path), []
    for panel, names in request.settings["figure_4"].items():
        for name in names:
            if name not in request.settings["calibrations"]:
                continue
            own, told = said[said["model"] == name], request.settings["calibrations"][name]
            place = told.get(panel)
            for metric, found in measured(own).items():
                if metric in LINES:
                    numbers = (found.mean, found.low, found.high, found.n)
                    rows.append([model, panel, "last" if place is None else str(place), metric, *numbers])
    return pd.DataFrame(rows, columns=["model", "panel", "x", "metric", "value", "low", "high", "n"])


def make(request: Request) -> Drawing:
    """Draw one panel per setting with exact match and false rate."""
    frame = frame_of(request)
    figure, axes = new_figure(1, len(PANELS), width=PAGE_INCHES, height=2.4, sharey=True)
    for panel, (name, words) in zip(axes[0], PANELS.items(), strict=True):
        for metric, (label, color, marker) in LINES.items():
            line = frame[(frame["panel"] == name) & (frame["metric"] == metric)]
            panel.plot(range(len(line)), line["value"], label=label, color=color, marker=marker)
            panel.fill_between(range(len(line)), line["low"], line["high"], color=color, alpha=0.18, linewidth=0)
        panel.set_xticks(range(len(line)), line["x"])
        panel.set(xlabel=words, ylim=(-3, 103))
    axes[0, 0].set_ylabel("percent of facts")
    legend_below(figure, axes[0, 0], len(LINES))
    return Drawing(figure, frame)


if __name__ == "__main__":
    figure_main(make, __doc__)
