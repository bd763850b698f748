"""Ablations of the appendix: place of the patches, size of the memory, patches per mistake."""

import pandas as pd

from papers.t_patcher.items.results import COLUMNS, REACH, against, cells_of, notes_of
from shared.report.item_command import Request, Table, table_main
from shared.report.layouts import Column, Layout
from shared.report.tables import compare


def make(request: Request) -> Table:
    """Return the full method's row and one per ablation; the paper's numbers of these are not known to us."""
    editors = dict.fromkeys(name for _, path in request.files() for name in pd.read_csv(path)["editor"])
    cells = cells_of(request, list(editors), REACH)
    frame = compare("table_ablations", cells, request.reported("table_ablations"), against(request, "t_patcher"))
    notes = notes_of(
        request,
        "t_patcher",
        "layer: the patched block of the decoder, from 0, instead of the last. memory: remembered examples. patches: "
        "most patches of one mistake. active: other wordings at which all patches of their mistake are active; apart: "
        "those that lie, along the mistake's own inputs, beyond everything remembered; cos: of keys with those inputs.",
    )
    columns = [*COLUMNS, *(Column(metric, title, 2) for metric, title in REACH.items())]
    return Table(frame, Layout("Ablations: place, memory, patches per mistake", columns, "Patches", notes=notes))


if __name__ == "__main__":
    table_main(make, __doc__)
