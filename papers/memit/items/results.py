"""What this paper's figures share: metrics with their titles, results of several runs, and grouped bars."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from shared.report.editing_results import METRIC_TITLES, read_summary
from shared.report.item_command import Request

ACCURACIES = ["efficacy_accuracy", "paraphrase_accuracy", "neighborhood_accuracy"]
TEXTS = ["generation_entropy", "reference_score"]
SCORES = ["score", "efficacy_score", "paraphrase_score", "neighborhood_score"]
TITLES = METRIC_TITLES | {
    "efficacy_accuracy": "efficacy accuracy (EA)",
    "paraphrase_accuracy": "paraphrase accuracy (PA)",
    "neighborhood_accuracy": "neighborhood accuracy (NA)",
    "generation_entropy": "fluency of texts (GE)",
    "reference_score": "consistency of texts (RS)",
}
UNITS = {"generation_entropy": "100 bits"}
PERCENT = "percent"
SHORT = {
    "score": "S",
    "efficacy_score": "ES",
    "paraphrase_score": "PS",
    "neighborhood_score": "NS",
    "efficacy_accuracy": "EA",
    "paraphrase_accuracy": "PA",
    "neighborhood_accuracy": "NA",
}
COLORS = {
    "score": "#333333",
    "efficacy_score": "#0072B2",
    "paraphrase_score": "#009E73",
    "neighborhood_score": "#E69F00",
}


def results_of(request: Request, metrics: Sequence[str]) -> pd.DataFrame:
    """Return the results of the item's runs: model, run (its place), editor, metric, value, low, high, n."""
    frames = []
    for place, (model, path) in enumerate(request.files()):
        summary = read_summary(path)
        chosen = summary[summary["metric"].isin(metrics)].rename(columns={"mean": "value"})
        frames.append(chosen.assign(model=model, run=place))
    frame = pd.concat(frames, ignore_index=True)
    return frame[["model", "run", "editor", "metric", "value", "low", "high", "n"]]


def grouped_bars(axes: Axes, frame: pd.DataFrame, groups: Mapping[str, str], metrics: Sequence[str]) -> None:
    """Draw one group of bars per value of `editor`, one bar with its 95 % interval per metric.

    Args:
        frame: columns editor, metric, value, low, high.
        groups: editor → its label, in order.
        metrics: in order of the bars.
    """
    width = 0.8 / len(metrics)
    for place, metric in enumerate(metrics):
        bars = frame[frame["metric"] == metric].set_index("editor").reindex(list(groups))
        x = np.arange(len(groups)) + (place - (len(metrics) - 1) / 2) * width
        axes.bar(x, bars["value"], width, color=COLORS[metric], label=SHORT[metric])
        spread = np.abs(np.array([bars["value"] - bars["low"], bars["high"] - bars["value"]]))
        axes.errorbar(x, bars["value"], spread, fmt="none", ecolor="#333333", elinewidth=0.6, capsize=1)
    axes.set_xticks(range(len(groups)), list(groups.values()))
    axes.set_ylabel(PERCENT)
