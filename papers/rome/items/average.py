"""Average causal effects over facts: what Figures 2, 3, 7-9 and 13 share."""

from pathlib import Path

import pandas as pd

from papers.rome.effects import category_effects, read_traces, severed_effects
from papers.rome.items.command import Drawing, Request
from papers.rome.items.drawing import KINDS, heat_map, legend_below, token_lines
from shared.effects import CATEGORIES
from shared.plots import PAGE_INCHES, new_figure

PERCENT = 100
CATEGORY_TITLES = dict(
    zip(
        CATEGORIES,
        [
            "first subject token",
            "middle subject tokens",
            "last subject token",
            "first subsequent token",
            "further tokens",
            "last token",
        ],
        strict=True,
    )
)
UNIT = "AIE (percent)"


def in_percent(effects: pd.DataFrame, model: str) -> pd.DataFrame:
    """Return effects with the model's name, values and bounds in percent."""
    scaled = {name: PERCENT * effects[old] for name, old in (("value", "effect"), ("low", "low"), ("high", "high"))}
    frame = effects.drop(columns="effect").assign(model=model, **scaled)
    first = ["model", *(name for name in frame.columns if name not in {"model", "value", "low", "high", "n"})]
    return frame[[*first, "value", "low", "high", "n"]]


def effects_of(model: str, path: Path) -> pd.DataFrame:
    """Return the average indirect effects of a tracing run: kind, category, layer, value, low, high (percent), n."""
    rows = read_traces([path]).rows
    return in_percent(pd.concat([category_effects(rows, kind) for kind in KINDS]), model)


def severed_of(model: str, path: Path) -> pd.DataFrame:
    """Return the average severed curves of a tracing run: condition, layer, value, low, high (percent), n."""
    return in_percent(severed_effects(read_traces([path]).rows), model).rename(columns={"curve": "condition"})


def draw_effect_maps(request: Request) -> Drawing:
    """Draw one row of three heat maps per input: categories of tokens down, layers across.

    The three maps of a row share the scale of its states, so that kinds can be compared, as in the paper.
    """
    frames = [effects_of(model, path) for model, path in request.files()]
    titles = request.settings.get("titles", [""] * len(frames))
    figure, axes = new_figure(len(frames), 3, width=PAGE_INCHES, height=1.75 * len(frames), sharey=True)
    for row, frame, above in zip(axes, frames, titles, strict=True):
        top = frame[frame["kind"] == "state"]["value"].max()
        for panel, (kind, (look, name)) in zip(row, KINDS.items(), strict=True):
            chosen = frame[frame["kind"] == kind]
            matrix = chosen.pivot(index="category", columns="layer", values="value").clip(lower=0)
            matrix = matrix.reindex([category for category in CATEGORIES if category in matrix.index])
            labels = [CATEGORY_TITLES[category] for category in matrix.index]
            title = f"{above}: {name}" if above else name
            heat_map(panel, matrix.to_numpy(), look, labels, low=0.0, high=max(top, 1e-9), unit=UNIT, title=title)
    for frame, above in zip(frames, titles, strict=True):
        frame.insert(1, "noise", above)
    return Drawing(figure, pd.concat(frames))


def draw_effect_lines(request: Request) -> Drawing:
    """Draw one row of three panels per model: a line with its 95 % band per category of token."""
    frames = [effects_of(model, path) for model, path in request.files()]
    figure, axes = new_figure(len(frames), 3, width=PAGE_INCHES, height=0.5 + 2.0 * len(frames))
    for row, frame in zip(axes, frames, strict=True):
        for panel, (kind, (_, name)) in zip(row, KINDS.items(), strict=True):
            chosen = frame[frame["kind"] == kind].assign(category=lambda f: f["category"].map(CATEGORY_TITLES))
            token_lines(panel, chosen, title=f"{frame['model'].iloc[0]}: {name}", unit=UNIT)
        bottom = min(panel.get_ylim()[0] for panel in row)
        top = max(panel.get_ylim()[1] for panel in row)
        for panel in row:
            panel.set_ylim(bottom, top)
        for panel in row[1:]:
            panel.set_ylabel("")
    legend_below(figure, axes[0, 0], 3)
    return Drawing(figure, pd.concat(frames))
