"""How sets of neurons, changes and kinds of sentences are written and drawn, in all items."""

from collections.abc import Sequence

from shared.measures.intervals import Interval
from shared.report.item_command import Request
from shared.report.tables import Cell, Comparison

# Set of neurons → title, colour.
SETS = {
    "ig": ("knowledge neurons", "#0072B2"),
    "activation": ("activation baseline", "#E69F00"),
    "random": ("random neurons", "#999999"),
    "other": ("knowledge neurons of another relation's fact", "#CC79A7"),
}
READ_OUT = {
    "ig_read_out": "knowledge neurons, as the head reads words",
    "random_read_out": "random neurons, as the head reads words",
}
CHANGES = {"suppress": "set to zero", "amplify": "doubled"}
KINDS = {
    "T1": ("names head and tail", "#009E73"),
    "T2": ("names the head only", "#56B4E9"),
    "T3": ("random sentence", "#BBBBBB"),
}


def notes_of(request: Request, *more: str) -> Sequence[str]:
    """Return what every table says about its run, and the item's own notes."""
    scale = request.settings["scale"]
    return [f"Scale: {scale}. Brackets: 95 % interval, facts (or edits) resampled.", *more]


def cell(model: str, name: str, metric: str, found: Interval, note: str = "") -> Cell:
    """Return a table's number for a set of neurons."""
    title = SETS[name][0] if name in SETS else READ_OUT.get(name, name)
    return Cell(model, title, "pararel", metric, found.mean, found.low, found.high, found.n, note)


def against(request: Request, control: str) -> Comparison:
    """Return how ours may be compared with the paper's: at another scale, by the step from the control's row."""
    how = request.comparison()
    return Comparison(how.stands_for, exact=how.exact, baseline=SETS[control][0])
