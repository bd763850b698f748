"""How the papers' figures are drawn; the item modules say what is drawn and where it comes from."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from shared.report.plots import HEATMAPS, draw_line, look_of

# Kind of restoration → key of its look, and what is restored.
KINDS = {"state": ("states", "state"), "mlp": ("mlp", "MLP window"), "attention": ("attention", "attention window")}

# Okabe and Ito's colours; the two sites that tracing finds get the strong ones.
TOKEN_LOOKS = {
    "first subject token": ("#56B4E9", "v", ":"),
    "middle subject tokens": ("#0072B2", "s", ":"),
    "last subject token": ("#D55E00", "o", "-"),
    "first subsequent token": ("#CC79A7", "D", "--"),
    "further tokens": ("#999999", "x", "--"),
    "last token": ("#009E73", "^", "-"),
}
SEVERED_LOOKS = {
    "ordinary": ("states", "effect of a single state"),
    "attention": ("attention", "with attention severed"),
    "mlp": ("mlp", "with MLPs severed"),
}


def integer_ticks(axis, count: int) -> None:
    """Mark whole numbers only, each one where there is room."""
    axis.set_major_locator(MaxNLocator(nbins=min(count, 10), integer=True, min_n_ticks=2))


def heat_map(
    axes: Axes,
    values: np.ndarray,
    kind: str,
    rows: Sequence[str],
    *,
    low: float,
    high: float,
    unit: str,
    title: str,
    bar: bool = True,
) -> None:
    """Draw one trace: tokens down, layers across, darker where restoring (or attributing) does more.

    Args:
        values: (row, layer).
        kind: `states`, `mlp` or `attention`, which choose the hue.
        rows: label of each row.
        low, high: ends of the colour scale, in the values' unit.
        unit: what the colour bar shows.
        bar: whether this panel has a colour bar.
    """
    image = axes.imshow(values, aspect="auto", cmap=HEATMAPS[kind], vmin=low, vmax=high)
    axes.set_yticks(range(len(rows)), rows)
    integer_ticks(axes.xaxis, values.shape[1])
    axes.tick_params(length=2)
    axes.set_title(title)
    axes.set_xlabel("layer")
    if bar:
        axes.figure.colorbar(image, ax=axes, label=unit, fraction=0.05, pad=0.02)


def token_lines(axes: Axes, frame: pd.DataFrame, *, title: str, unit: str) -> None:
    """Draw mean effects by layer, one line per category of token with its 95 % band.

    Args:
        frame: columns category, layer, value, low, high.
    """
    for category, line in frame.groupby("category", sort=False):
        color, marker, style = TOKEN_LOOKS[category]
        look = {"label": category, "color": color, "marker": marker, "linestyle": style}
        draw_line(axes, category, line["layer"], line["value"], line["low"], line["high"], **look)
    axes.axhline(0, color="#bbbbbb", linewidth=0.6, zorder=0)
    integer_ticks(axes.xaxis, frame["layer"].nunique())
    axes.set(title=title, xlabel="layer", ylabel=unit)


def severed_bars(axes: Axes, frame: pd.DataFrame, *, title: str, unit: str) -> None:
    """Draw the effect of restoring one state at each layer: as it is, with attention severed, with MLPs severed.

    Args:
        frame: columns condition (`ordinary`, or what is severed: `attention`, `mlp`), layer, value; low and high where
            known.
    """
    width = 0.8 / len(SEVERED_LOOKS)
    for place, (condition, (kind, label)) in enumerate(SEVERED_LOOKS.items()):
        bars = frame[frame["condition"] == condition]
        x = bars["layer"] + (place - 1) * width
        axes.bar(x, bars["value"], width, color=look_of(kind).color, label=label)
        if "low" in bars and bars["low"].notna().all():
            spread = np.abs(np.array([bars["value"] - bars["low"], bars["high"] - bars["value"]]))
            axes.errorbar(x, bars["value"], spread, fmt="none", ecolor="#333333", elinewidth=0.6, capsize=1)
    axes.axhline(0, color="#333333", linewidth=0.6)
    integer_ticks(axes.xaxis, frame["layer"].nunique())
    axes.set(title=title, xlabel="layer whose state is restored", ylabel=unit)


def sweep_lines(
    axes: Axes,
    frame: pd.DataFrame,
    *,
    x: str,
    series: str,
    looks: Mapping[str, tuple[str, str, str]],
    title: str,
    unit: str,
) -> None:
    """Draw one metric over a setting, one line with its 95 % band per value of `series`.

    Args:
        frame: columns `x`, `series`, value, low, high.
        looks: value of `series` to its colour, marker and line style, in legend order.
    """
    for name, (color, marker, style) in looks.items():
        line = frame[frame[series] == name].sort_values(x)
        if line.empty:
            continue
        look = {"label": name, "color": color, "marker": marker, "linestyle": style}
        draw_line(axes, name, line[x], line["value"], line["low"], line["high"], **look)
    axes.set(title=title, xlabel=x, ylabel=unit)


def legend_below(figure: Figure, axes: Axes, columns: int, title: str | None = None) -> None:
    """Put the legend of one panel under the whole figure."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, title=title)
