"""CounterFact+: neighbours asked alone, and with the edited fact put before them."""

from papers.survey.contract import PLUS_METRICS
from papers.survey.items.results import PLUS, SINGLE, cells_of, metrics_of, table_of
from shared.report.item_command import Request, Table, table_main
from shared.report.layouts import Column

COLUMNS = [
    Column(metric, metric, 1 if metric.startswith("NS") else 3 if metric.startswith("NM") else 6)
    for metric in ("NS", "NS+", "NM", "NM+", "NKL", "NKL+")
]
NOTES = [
    "NS: neighbours, in percent, for which the true object is likelier than the new one. NM: by how much, as a "
    "difference of mean probabilities per token. NKL: nats between next-token distributions before and after. "
    "With +, the edited fact stands before the neighbour's prompt. Intervals: cases resampled, then their prompts.",
    "The reported divergences (Hoelscher-Obermaier et al. 2023) are divided by the width of the logits; ours are not.",
]


def make(request: Request) -> Table:
    """Compare all editors by what they do to neighbours."""
    metrics = metrics_of(request)
    chosen = metrics[
        (metrics["form"] == "counterfact")
        & (metrics["protocol"] == SINGLE)
        & (metrics["scorer"] == PLUS)
        & metrics["metric"].isin(list(PLUS_METRICS))
    ]
    cells = cells_of(chosen, lambda row: ("counterfact", row["metric"]))
    options = {"dataset": "counterfact", "baseline": "none", "notes": NOTES}
    return table_of(request, "table_specificity_plus", "CounterFact+", cells, COLUMNS, **options)


if __name__ == "__main__":
    table_main(make, __doc__)
