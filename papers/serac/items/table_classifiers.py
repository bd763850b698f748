"""The scope classifier in both forms, on the problems for which both are trained."""

from papers.serac.items.results import table_of
from shared.report.item_command import Request, Table, table_main

# Problem → variant → form; the main variant's form differs between the problems.
FORMS = {
    "qa_hard": {"none": "none", "serac": "embed", "serac_cross": "cross"},
    "fc": {"none": "none", "serac": "cross", "serac_embed": "embed"},
}


def make(request: Request) -> Table:
    """Compare both forms, each under its own name."""
    return table_of(request, "table_classifiers", "Forms of the scope classifier", FORMS)


if __name__ == "__main__":
    table_main(make, __doc__)
