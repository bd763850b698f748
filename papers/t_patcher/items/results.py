"""What the items share: streams as table cells, and how editors and metrics are written."""

from collections.abc import Mapping, Sequence

import pandas as pd

from shared.editing.methods import METHODS, Look
from shared.measures.intervals import mean_interval
from shared.report.item_command import Request
from shared.report.layouts import Column
from shared.report.tables import Cell, Comparison

METRICS = {
    "success_rate": "SR",
    "generalization_rate": "GR",
    "edit_retain_rate": "ER",
    "train_retain_rate": "TrainR",
    "test_retain_rate": "TestR",
}
NEAR = {"near_retain_rate": "NearR"}
COLUMNS = [Column(metric, title, 3) for metric, title in (METRICS | NEAR).items()]
# Why other wordings are answered or not: columns of the ablations.
REACH = {"active_rate": "active", "apart_rate": "apart", "alignment": "cos"}
# Editors by their names in the config; the paper's own words where it has some.
LOOKS = {
    "t_patcher": Look("T-Patcher", "#D55E00", "p"),
    "no_memory": Look("w/o l_m", "#CC79A7", "v", "--"),
    "kl_memory": Look("KL", "#56B4E9", "^", "--"),
    "first_only": Look("w/o l_m2", "#009E73", "D", "--"),
    **{name: Look(name, METHODS[name].color, METHODS[name].marker) for name in ("mend", "ke", "serac")},
    "ft_last": Look("FT(last)", METHODS["ft"].color, "s"),
    "ft_all": Look("FT(all)", "#0072B2", "o"),
    "ft_last_kl": Look("FT(last)+KL", METHODS["ft_l"].color, "s", ":"),
    "ft_all_kl": Look("FT(all)+KL", "#000000", "o", ":"),
}
MEANING = (
    "SR: mended mistakes; GR: their other wordings; ER: mistakes still mended at the end; TrainR, TestR: accuracy at "
    "the end over that of the unedited model; NearR (not in the paper): the same for like questions of other subjects."
)


def look_of(editor: str) -> Look:
    """Return how an editor is written and drawn."""
    return LOOKS.get(editor, Look(editor.replace("_", " "), "#999999", "x"))


def cells_of(request: Request, editors: Sequence[str], more: Mapping[str, str] | None = None) -> list[Cell]:
    """Return the metrics of some editors, and further columns, as means over streams with their intervals."""
    cells = []
    for model, path in request.files():
        frame, dataset = pd.read_csv(path), request.settings["datasets"][model]
        for editor in editors:
            own = frame[frame["editor"] == editor]
            for metric in METRICS | NEAR | dict(more or {}):
                values = own[metric].dropna().to_numpy(float)
                if len(values):
                    found = mean_interval(values)
                    bounds = (found.low, found.high) if len(values) > 1 else (None, None)
                    cells.append(Cell(model, look_of(editor).title, dataset, metric, found.mean, *bounds, len(values)))
    return cells


def against(request: Request, editor: str) -> Comparison:
    """Return how ours may be compared with the paper's: at another scale, by the step from an editor's row."""
    how = request.comparison()
    return Comparison(how.stands_for, exact=how.exact, baseline=look_of(editor).title)


def notes_of(request: Request, baseline: str, *more: str) -> list[str]:
    """Return what every table says about its run, and the item's own notes."""
    return [
        f"Scale: {request.settings['scale']}. Brackets: 95 % interval over streams (n).",
        MEANING,
        f"At another scale a status compares the step from {look_of(baseline).title} with that of the paper.",
        *more,
    ]
