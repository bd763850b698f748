"""Locality on three further kinds of questions: other facts of the subject, a distracting prefix, another task."""

from papers.survey.items.results import (
    BASELINE,
    FORMS,
    FURTHER_LOCALITY,
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

KINDS = {"locality": "unrelated"} | FURTHER_LOCALITY
MEANING = (
    "In percent: the share of predicted tokens that are those of the unedited model; of the other task, right choices. "
    "The unedited model's row, which the paper lacks, is what the others are to be held against."
)


def make(request: Request) -> Table:
    """Compare all editors on questions whose answers an edit should leave as they are."""
    metrics = metrics_of(request)
    chosen = metrics[
        (metrics["protocol"] == SINGLE) & (metrics["scorer"] == SURVEY) & metrics["metric"].isin(list(KINDS))
    ]
    cells = cells_of(chosen, lambda row: ("-", f"{row['form']}_{row['metric']}"))
    columns = [
        Column(f"{form}_{metric}", f"{FORMS[form]}: {title}", 2)
        for form in FORMS
        for metric, title in KINDS.items()
        if (form == "counterfact" and metric != "locality")
        or (chosen["metric"][chosen["form"] == form] == metric).any()
    ]
    notes = [MEANING, STEPS.format(title_of(BASELINE))]
    return table_of(request, "table_locality", "Locality of single edits", cells, columns, notes=notes)


if __name__ == "__main__":
    table_main(make, __doc__)
