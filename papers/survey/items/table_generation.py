"""Teacher forcing against free generation: the same edits, scored both ways."""

from papers.survey.items.results import FORMS, SINGLE, STEPS, SURVEY, WILD, cells_of, in_role, metrics_of, table_of
from shared.editing.methods import title_of
from shared.report.item_command import Request, Table, table_main
from shared.report.layouts import Column

KINDS = {"reliability": "edit", "generalization": "rephrased", "portability_one_hop": "one hop"}
SCORERS = {SURVEY: "forced", WILD: "free"}
COLUMNS = [
    Column(f"{form}_{kind}_{scorer}", f"{FORMS[form]}: {title}, {word}", 1)
    for form in FORMS
    for kind, title in KINDS.items()
    for scorer, word in SCORERS.items()
]
BASELINE = "rome"
NOTES = [
    "In percent. Forced: the share of the new answer's tokens that are most probable when the answer itself is fed in. "
    "Free: the model writes until it stops, and what it wrote has to be the answer after normalisation. The numbers "
    "beside ours are of Llama-2-7b-chat (Yang et al. 2025), whose free answers were judged by a language model.",
    STEPS.format(title_of(BASELINE)),
]


def make(request: Request) -> Table:
    """Compare both ways of scoring for every editor."""
    metrics = metrics_of(request)
    chosen = metrics[
        (metrics["protocol"] == SINGLE) & metrics["scorer"].isin(list(SCORERS)) & metrics["metric"].isin(list(KINDS))
    ]
    cells = cells_of(chosen, lambda row: ("-", f"{row['form']}_{row['metric']}_{row['scorer']}"))
    roles = in_role(request, "gpt-j", "llama-2-7b-chat")
    options = {"baseline": BASELINE, "stands_for": roles, "notes": NOTES}
    return table_of(request, "table_generation", "Teacher forcing and free generation", cells, COLUMNS, **options)


if __name__ == "__main__":
    table_main(make, __doc__)
