"""Table 3: mean activation of neurons in three kinds of sentences."""

import numpy as np
import pandas as pd

from papers.kn.analysis import ratio_interval
from papers.kn.items.wording import KINDS, against, cell, notes_of
from shared.report.item_command import Request, Table, table_main
from shared.report.layouts import Column, Layout
from shared.report.tables import compare

COLUMNS = [Column(kind, f"{kind}: {title}", 3) for kind, (title, _) in KINDS.items()]


def make(request: Request) -> Table:
    """Compare mean activations with the paper's; facts are what is averaged."""
    cells = []
    for model, path in request.files():
        frame = pd.read_csv(path)
        for (name, kind), facts in frame.groupby(["set", "kind"], sort=False):
            values = facts["activation"].to_numpy(float)
            cells.append(cell(model, name, kind, ratio_interval(values, np.ones(len(values)))))
    table = compare("table_3", cells, request.reported("table_3"), against(request, "activation"))
    notes = notes_of(request, "Statuses compare the step from the activation baseline with the paper's.")
    return Table(table, Layout("Table 3: activation in open-domain text", COLUMNS, "Neurons", notes))


if __name__ == "__main__":
    table_main(make, __doc__)
