"""Seconds per edit, and of training where a method is trained."""

from papers.survey.items.results import FORMS, SINGLE, STEPS, costs_of, table_of
from shared.editing.methods import title_of
from shared.report.item_command import Request, Table, table_main
from shared.report.layouts import Column
from shared.report.tables import Cell

PARTS = {"seconds_per_edit": "an edit", "training_seconds": "training"}
COLUMNS = [Column(f"{form}_{part}", f"{FORMS[form]}: {title}", 3) for part, title in PARTS.items() for form in FORMS]
BASELINE = "rome"
NOTES = [
    "Seconds of wall-clock time: one edit, after a first one that is not counted, and the job that trains the method, "
    "in which others may be trained too. "
    "The paper's times are of one call on GPT-J, said to hold ten edits; it has none of IKE. n "
    "counts runs of this workflow.",
    STEPS.format(title_of(BASELINE)),
]


def make(request: Request) -> Table:
    """Compare all editors by what a single edit takes."""
    costs = costs_of(request)
    single = costs[costs["protocol"] == SINGLE]
    cells = [
        Cell(row["model"], row["editor"], "-", f"{row['form']}_{part}", float(row[part]), n=1)
        for row in single.to_dict("records")
        for part in PARTS
        if row[part] == row[part]
    ]
    return table_of(request, "table_seconds", "Seconds per edit", cells, COLUMNS, baseline=BASELINE, notes=NOTES)


if __name__ == "__main__":
    table_main(make, __doc__)
