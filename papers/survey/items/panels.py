"""What the figures share: one row of panels per model and form of facts, and bars with their intervals."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from papers.survey.contract import METHODS
from papers.survey.items.results import FORMS
from shared.report.plots import look_of


def rows_of(frame: pd.DataFrame) -> list[tuple[str, str]]:
    """Return the pairs of model and form that a figure has numbers of; one empty pair where it has none."""
    return list(dict.fromkeys(frame[["model", "form"]].itertuples(index=False, name=None))) or [("", "")]


def heading(model: str, form: str) -> str:
    """Return what stands over a row's panels."""
    return f"{FORMS[form]}, {model}" if form else "no numbers of this run"


def editors_in(frame: pd.DataFrame) -> list[str]:
    """Return the editors that a figure has numbers of, in the order of the tables."""
    present = set(frame["editor"])
    return [editor for editor in METHODS if editor in present]


def bars(axes: Axes, x: np.ndarray, frame: pd.DataFrame, width: float, **look) -> None:
    """Draw bars with their intervals, where those are known.

    Args:
        x: places of the bars.
        frame: columns value, low, high, in the order of `x`.
    """
    axes.bar(x, frame["value"], width, **look)
    spread = np.array([frame["value"] - frame["low"], frame["high"] - frame["value"]], float)
    axes.errorbar(x, frame["value"], np.abs(np.nan_to_num(spread)), fmt="none", ecolor="#333333", elinewidth=0.6)


def grouped_bars(axes: Axes, frame: pd.DataFrame, by: str, groups: Sequence, editors: Sequence[str]) -> None:
    """Draw one group of bars per value of the column `by`, one bar in each editor's look per editor.

    Args:
        frame: columns editor, `by`, value, low, high.
    """
    width = 0.8 / max(len(editors), 1)
    for place, editor in enumerate(editors):
        own = frame[frame["editor"] == editor].set_index(by).reindex(list(groups))
        x = np.arange(len(groups)) + (place - (len(editors) - 1) / 2) * width
        look = look_of(editor)
        bars(axes, x, own, width, color=look.color, label=look.title)
    axes.set_xticks(range(len(groups)), [str(group) for group in groups])
