"""Table 3: the memory loss left out, halved, or replaced by a divergence."""

from papers.t_patcher.items.results import COLUMNS, against, cells_of, notes_of
from shared.report.item_command import Request, Table, table_main
from shared.report.layouts import Layout
from shared.report.tables import compare

EDITORS = ("t_patcher", "no_memory", "kl_memory", "first_only")


def make(request: Request) -> Table:
    """Return means over streams beside the paper's."""
    frame = compare("table_3", cells_of(request, EDITORS), request.reported("table_3"), against(request, "t_patcher"))
    notes = notes_of(request, "t_patcher")
    return Table(frame, Layout("Table 3: ablation of the memory loss", COLUMNS, "Patches", notes=notes))


if __name__ == "__main__":
    table_main(make, __doc__)
