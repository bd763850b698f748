"""The survey's main comparison: reliability, generalization and locality of single edits in one form of facts."""

from papers.survey.items.results import (
    ACCURACIES,
    BASELINE,
    FORMS,
    SINGLE,
    STEPS,
    SURVEY,
    cells_of,
    metrics_of,
    table_of,
)
from shared.editing.methods import title_of
from shared.report.item_command import Request, Table
from shared.report.layouts import Column

MEANING = (
    "In percent, teacher-forced: the share of the new answer's tokens that are most probable on the edited prompt "
    "(reliability) and on a rephrasing (generalization); the share of the tokens predicted for unrelated answers that "
    "are those of the unedited model (locality). Every edit is made alone on the unedited model."
)


def main_table(request: Request, item: str, form: str) -> Table:
    """Return the main table of one form."""
    metrics = metrics_of(request)
    chosen = metrics[
        (metrics["form"] == form)
        & (metrics["protocol"] == SINGLE)
        & (metrics["scorer"] == SURVEY)
        & metrics["metric"].isin(list(ACCURACIES))
    ]
    cells = cells_of(chosen, lambda row: (form, row["metric"]))
    columns = [Column(metric, title, 2) for metric, title in ACCURACIES.items()]
    notes = [MEANING, STEPS.format(title_of(BASELINE))]
    return table_of(request, item, f"Single edits of {FORMS[form]} facts", cells, columns, dataset=form, notes=notes)
