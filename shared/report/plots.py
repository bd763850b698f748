"""One style for all figures: sizes, the look of each method, and files that are the same bytes for the same numbers."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402  (the backend must be chosen first)
import pandas as pd  # noqa: E402
from matplotlib.axes import Axes  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402
from PIL import Image  # noqa: E402

from shared.editing.methods import METHODS, Look  # noqa: E402
from shared.records import atomic_path  # noqa: E402

COLUMN_INCHES = 3.3
PAGE_INCHES = 6.9
STYLE = Path(__file__).with_name("paper.mplstyle")

# Sequential maps of one hue each, in the colours that the tracing literature uses for its three kinds of site.
HEATMAPS = {"states": "Purples", "mlp": "Greens", "attention": "Reds"}


def new_figure(rows: int = 1, columns: int = 1, *, width: float = PAGE_INCHES, height: float = 2.2, **options):
    """Return a styled figure and its axes as a 2-D array; `width` and `height` are the whole figure's inches."""
    plt.style.use(STYLE)
    return plt.subplots(rows, columns, figsize=(width, height), squeeze=False, **options)


def look_of(method: str) -> Look:
    """Return title, colour, marker and line style of a method; an unknown one is drawn in black under its own name."""
    return METHODS.get(method, Look(method, "#000000"))


def draw_line(axes: Axes, method: str, x, mean, low=None, high=None, **options) -> None:
    """Draw a method's line in its look, with its 95 % band where `low` and `high` are given."""
    look = look_of(method)
    options = {"label": look.title, "color": look.color, "marker": look.marker, "linestyle": look.line} | options
    axes.plot(x, mean, **options)
    if low is not None and high is not None:
        axes.fill_between(x, low, high, color=options["color"], alpha=0.18, linewidth=0)


def draw_over_sizes(axes: Axes, lines: pd.DataFrame, size: str) -> None:
    """Draw each editor's line with its 95 % band over a logarithmic axis whose ticks are the sizes themselves.

    Args:
        lines: columns editor, `size`, value, low, high.
        size: name of the column that goes to the right.
    """
    for method, line in lines.groupby("editor", sort=False):
        line = line.sort_values(size)
        draw_line(axes, method, line[size], line["value"], line["low"], line["high"])
    sizes = sorted(lines[size].unique())
    if sizes:
        axes.set_xscale("log")
        axes.set_xticks(sizes, [str(number) for number in sizes])
        axes.minorticks_off()


def _reduce_colours(png: Path) -> None:
    """Reduce a picture to 256 colours: a third of the bytes, and no difference that an eye sees."""
    with Image.open(png) as picture:
        reduced = picture.convert("RGB").quantize(256, dither=Image.Dither.NONE)
    reduced.save(png, format="png", optimize=True)


def save_figure(figure: Figure, data: pd.DataFrame, *, svg: str | Path, png: str | Path, csv: str | Path) -> None:
    """Write a figure as SVG and PNG, and the numbers behind it as CSV; no dates or versions enter the files."""
    with atomic_path(svg) as part:
        figure.savefig(part, format="svg", metadata={"Date": None, "Creator": None})
    with atomic_path(png) as part:
        figure.savefig(part, format="png", metadata={"Software": None})
        _reduce_colours(part)
    with atomic_path(csv) as part:
        data.to_csv(part, index=False, float_format="%.6g", lineterminator="\n")
    plt.close(figure)
