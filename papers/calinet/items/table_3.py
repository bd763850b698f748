"""Table 3: facts calibrated by slots and by continued pretraining."""

import pandas as pd

from papers.calinet.items.results import TITLES, UNITS, measured, scale_note
from shared.report.item_command import Request, Table, table_main
from shared.report.layouts import Column, Layout
from shared.report.tables import Cell, Comparison, compare

COLUMNS = [
    Column("false_rate", "False rate", 1),
    Column("original", "Ori.", 2),
    Column("adversarial", "Adv.", 1),
    Column("language_modelling", "LM", 2),
    Column("exact_match", "EM", 1),
    Column("overlap", "F1", 1),
]


def title(method: str, facts: int) -> str:
    """Return a row's name."""
    return f"{TITLES[method]}, {facts} facts"


def cells_of(request: Request, ours: str, theirs: int) -> list[Cell]:
    """Return the numbers of the models whose names end in `ours`, which stand for the paper's number of facts."""
    files, cells = request.files(), []
    half = len(files) // 2
    for (model, facts), (_, texts) in zip(files[:half], files[half:], strict=True):
        said, read = pd.read_csv(facts), pd.read_csv(texts)
        for method in TITLES:
            name = f"{method}_{ours}"
            own = said[said["model"] == name]
            if not own.empty:
                for metric, found in measured(own, read[read["model"] == name]).items():
                    numbers = (found.mean, found.low, found.high, found.n)
                    cells.append(Cell(model, title(method, theirs), "trex", metric, *numbers))
    return cells


def make(request: Request) -> Table:
    """Return our numbers beside the paper's, counted from the model that is not calibrated."""
    how, reported = request.comparison(), request.reported("table_3")
    frames, told = [], []
    for ours, theirs in request.settings["stand_for_facts"].items():
        own = [row for row in reported if row.method.endswith(f", {theirs} facts")]
        against = Comparison(how.stands_for, exact=how.exact, baseline=title("vanilla", theirs))
        frames.append(compare("table_3", cells_of(request, ours, theirs), own, against))
        count = request.settings["calibrations"][f"vanilla_{ours}"]["facts"]
        told.append(f"{count} of our facts stand for the paper's {theirs}.")
    notes = [scale_note(request), UNITS, " ".join(told), "Ori.: right objects in test wordings; Adv.: false ones."]
    return Table(pd.concat(frames), Layout("Table 3: calibrated facts", COLUMNS, "Model", notes))


if __name__ == "__main__":
    table_main(make, __doc__)
