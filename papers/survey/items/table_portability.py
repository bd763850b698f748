"""Portability: what follows from an edit, asked by another name of the subject, from the object, one hop further."""

from papers.survey.items.results import (
    BASELINE,
    FORMS,
    PORTABILITY,
    SINGLE,
    STEPS,
    SURVEY,
    cells_of,
    metrics_of,
    table_of,
)
from shared.editing.methods import title_of
from shared.report.item_command import Request, Table, table_main
from shared.report.layouts import Column

MEANING = (
    "In percent, teacher-forced as in the main tables. The paper has no rows of the unedited model, of the new fact "
    "put before the question (PROMPT) or of a random change of weights; without them its numbers cannot be read."
)


def make(request: Request) -> Table:
    """Compare all editors on three kinds of questions that an edit should change."""
    metrics = metrics_of(request)
    chosen = metrics[
        (metrics["protocol"] == SINGLE) & (metrics["scorer"] == SURVEY) & metrics["metric"].isin(list(PORTABILITY))
    ]
    cells = cells_of(chosen, lambda row: ("-", f"{row['form']}_{row['metric']}"))
    present = set(chosen["form"]) | {"zsre"}
    columns = [
        Column(f"{form}_{metric}", f"{FORMS[form]}: {title}", 2)
        for form in FORMS
        if form in present
        for metric, title in PORTABILITY.items()
        if form == "zsre" or (chosen["metric"][chosen["form"] == form] == metric).any()
    ]
    notes = [MEANING, STEPS.format(title_of(BASELINE))]
    return table_of(request, "table_portability", "Portability of single edits", cells, columns, notes=notes)


if __name__ == "__main__":
    table_main(make, __doc__)
