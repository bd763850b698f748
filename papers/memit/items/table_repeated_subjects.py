"""Many facts about few subjects, edited at once (not in the paper)."""

from papers.memit.items.table_2 import ACCURACIES, PAPERS
from shared.report.editing_results import editing_table
from shared.report.item_command import Request, Table, table_main


def make(request: Request) -> Table:
    """Compare editors, and MEMIT with one change per subject, on records that repeat their subjects."""
    title = "Repeated subjects: the world's own records, edited at once"
    return editing_table(request, "table_repeated_subjects", title, "counterfact", [*PAPERS, *ACCURACIES])


if __name__ == "__main__":
    table_main(make, __doc__)
