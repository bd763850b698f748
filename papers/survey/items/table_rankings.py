"""How the editors rank under each measure, and how far the measures agree."""

import itertools
import math
from collections.abc import Mapping

import pandas as pd

from papers.survey.items.measures import MAIN, MEASURES, measured
from papers.survey.items.results import metrics_of
from shared.editing.methods import title_of
from shared.report.item_command import Listing, Request, table_main
from shared.report.layouts import number

NO_EDITORS = ("none", "random")
HEADER = ["model", "form", "measure", "editors", "ranking", "common", "tau"]
NOTES = [
    "Editors from best to worst by their means, = between equal ones; the unedited model and random changes are no "
    f"editors. tau: Kendall's rank correlation (tau-b) with the first measure, {MEASURES[MAIN].title}, over editors "
    "that have both: 1 is the same order, 0 none, -1 the reverse; empty where all are equal under one of the two.",
]


def kendall(left: Mapping[str, float | int], right: Mapping[str, float | int]) -> float | int:
    """Return tau-b over the keys that both have; NaN where one of them does not order anything."""
    names = [name for name in left if name in right]
    agreement = ordered_left = ordered_right = 0
    for one, other in itertools.combinations(names, 2):
        first, second = _sign(left[one] - left[other]), _sign(right[one] - right[other])
        agreement += first * second
        ordered_left += first != 0
        ordered_right += second != 0
    return agreement / math.sqrt(ordered_left * ordered_right) if ordered_left and ordered_right else math.nan


def _sign(value: float | int) -> int:
    return (value > 0) - (value < 0)


def ranking(values: Mapping[str, float]) -> str:
    """Return the editors from best to worst with their means, such as `ROME 99.0 = MEMIT 99.0 > KN 3.0`."""
    order = sorted(values, key=lambda name: -values[name])
    words = ""
    for place, name in enumerate(order):
        if place:
            words += " = " if values[order[place - 1]] == values[name] else " > "
        words += f"{title_of(name)} {number(values[name], 1)}"
    return words


def make(request: Request) -> Listing:
    """Return one line per model, form and measure that at least two editors have."""
    rows = measured(metrics_of(request))
    rows = rows[~rows["editor"].isin(NO_EDITORS) & rows["mean"].notna()]
    lines = []
    for (model, form), own in rows.groupby(["model", "form"], sort=False):
        found = {name: dict(zip(part["editor"], part["mean"], strict=True)) for name, part in own.groupby("measure")}
        for name in MEASURES:
            values, main = found.get(name, {}), found.get(MAIN, {})
            if len(values) > 1:
                tau = kendall(values, main)
                shown = "" if math.isnan(tau) else round(tau, 3)
                common = sum(editor in main for editor in values)
                lines.append([model, form, MEASURES[name].title, len(values), ranking(values), common, shown])
    return Listing("Rankings under all protocols and scorers", NOTES, pd.DataFrame(lines, columns=HEADER))


if __name__ == "__main__":
    table_main(make, __doc__)
