"""EasyEdit's later zsRE table on LLaMA-2, with ours beside it."""

from papers.survey.items.results import SINGLE, STEPS, SURVEY, cells_of, in_role, metrics_of, table_of
from shared.editing.methods import title_of
from shared.report.item_command import Request, Table, table_main
from shared.report.layouts import Column

COLUMNS = [
    Column("reliability", "Reliability", 2),
    Column("generalization", "Generalization", 2),
    Column("locality", "Locality", 2),
    Column("portability_one_hop", "Portability (one hop)", 2),
]
BASELINE = "ft"
NOTES = [
    "In percent, as in the main tables. The numbers beside ours are of the table in EasyEdit's README; a second line "
    "for ROME is what a user of the same code got, and nothing says how far apart two runs may be.",
    STEPS.format(title_of(BASELINE)),
]


def make(request: Request) -> Table:
    """Compare the decoder's editors with those of LLaMA-2."""
    metrics = metrics_of(request)
    roles = in_role(request, "gpt-j", "llama-2-7b")
    chosen = metrics[
        (metrics["form"] == "zsre")
        & (metrics["protocol"] == SINGLE)
        & (metrics["scorer"] == SURVEY)
        & metrics["metric"].isin([column.metric for column in COLUMNS])
        & metrics["model"].isin(list(roles))
    ]
    cells = cells_of(chosen, lambda row: ("zsre", row["metric"]))
    title = "zsRE facts, beside EasyEdit's table of LLaMA-2-7B"
    options = {"dataset": "zsre", "baseline": BASELINE, "stands_for": roles, "notes": NOTES}
    return table_of(request, "table_later", title, cells, COLUMNS, **options)


if __name__ == "__main__":
    table_main(make, __doc__)
