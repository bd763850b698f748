"""Table 1: sequential editing, T-Patcher beside fine-tuning and other editors."""

from papers.t_patcher.items.results import COLUMNS, against, cells_of, notes_of
from shared.report.item_command import Request, Table, table_main
from shared.report.layouts import Layout
from shared.report.tables import compare

EDITORS = ("ft_last", "ft_all", "ft_last_kl", "ft_all_kl", "mend", "ke", "serac", "t_patcher")


def make(request: Request) -> Table:
    """Return means over streams beside the paper's."""
    frame = compare("table_1", cells_of(request, EDITORS), request.reported("table_1"), against(request, "ft_last"))
    notes = notes_of(
        request,
        "ft_last",
        "MEND and KE were trained on single edits; here each is made of the model as it then is. SERAC holds all edits "
        "of a stream.",
    )
    return Table(frame, Layout("Table 1: sequential editing", COLUMNS, notes=notes))


if __name__ == "__main__":
    table_main(make, __doc__)
