"""Average causal effects over facts: what Figures 2, 3, 7-9 and 13 share."""

from pathlib import Path

import pandas as pd

from shared.report.drawing import KINDS, heat_map, legend_below, token_lines
from shared.report.editing_results import read_csv
from shared.report.item_command import Drawing, Request
from shared.report.plots import PAGE_INCHES, new_figure

# Category of `papers.rome.effects` → its name, from top to bottom.
CATEGORIES = {
    "first_subject": "first subject token",
    "middle_subject": "middle subject tokens",
    "last_subject": "last subject token",
    "first_subsequent": "first subsequent token",
    "further": "further tokens",
    "last": "last token",
}
SEVERED = "severed"
UNIT = "AIE (percent)"


def effects_of(model: str, path: Path) -> pd.DataFrame:
    """Return the average effects of a tracing run (percent): model, kind, category, layer, value, low, high, n."""
    frame = read_csv(path, ["kind", "category", "layer", "value", "low", "high", "n"])
    frame.insert(0, "model", model)
    return frame


def _restored(request: Request) -> list[pd.DataFrame]:
    frames = [effects_of(model, path) for model, path in request.files()]
    return [frame[frame["kind"] != SEVERED].copy() for frame in frames]


def draw_effect_maps(request: Request) -> Drawing:
    """Draw one row of three heat maps per input: categories of tokens down, layers across.

    The three maps of a row share the scale of its states, so that kinds can be compared, as in the paper.
    """
    frames = _restored(request)
    titles = request.settings.get("titles", [""] * len(frames))
    figure, axes = new_figure(len(frames), 3, width=PAGE_INCHES, height=1.75 * len(frames), sharey=True)
    for row, frame, above in zip(axes, frames, titles, strict=True):
        top = frame[frame["kind"] == "state"]["value"].max()
        for panel, (kind, (look, name)) in zip(row, KINDS.items(), strict=True):
            chosen = frame[frame["kind"] == kind]
            matrix = chosen.pivot(index="category", columns="layer", values="value").clip(lower=0)
            matrix = matrix.reindex([category for category in CATEGORIES if category in matrix.index])
            labels = [CATEGORIES[category] for category in matrix.index]
            heat_map(panel, matrix.to_numpy(), look, labels, low=0.0, high=max(top, 1e-9), unit=UNIT, title=name)
        row[0].set_ylabel(above)
    for frame, above in zip(frames, titles, strict=True):
        frame.insert(1, "noise", above)
    return Drawing(figure, pd.concat(frames))


def draw_effect_lines(request: Request) -> Drawing:
    """Draw one row of three panels per model: a line with its 95 % band per category of token."""
    frames = _restored(request)
    figure, axes = new_figure(len(frames), 3, width=PAGE_INCHES, height=0.5 + 2.0 * len(frames))
    for row, frame in zip(axes, frames, strict=True):
        for panel, (kind, (_, name)) in zip(row, KINDS.items(), strict=True):
            chosen = frame[frame["kind"] == kind].assign(category=lambda f: f["category"].map(CATEGORIES))
            token_lines(panel, chosen, title=f"{frame['model'].iloc[0]}: {name}", unit=UNIT)
        bottom = min(panel.get_ylim()[0] for panel in row)
        top = max(panel.get_ylim()[1] for panel in row)
        for panel in row:
            panel.set_ylim(bottom, top)
        for panel in row[1:]:
            panel.set_ylabel("")
    legend_below(figure, axes[0, 0], 3)
    return Drawing(figure, pd.concat(frames))
