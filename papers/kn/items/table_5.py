"""Table 5: updating facts by their neurons' values."""

import numpy as np
import pandas as pd

from papers.kn.analysis import PERCENT, perplexity_change, ratio_interval
from papers.kn.items.wording import against, cell, notes_of
from shared.report.item_command import Request, Table, table_main
from shared.report.layouts import Column, Layout
from shared.report.tables import compare

SHARES = {"changed": "change_rate", "success": "success_rate", "success_5": "success_at_5"}
COLUMNS = [
    Column("change_rate", "change rate, %", 1),
    Column("success_rate", "success rate, %", 1),
    Column("success_edited", "of those with neurons, %", 1),
    Column("success_at_5", "success at 5, %", 1),
    Column("reciprocal_rank", "reciprocal rank", 3),
    Column("intra", "Δ perplexity, same relation", 2),
    Column("inter", "Δ perplexity, other relations", 2),
    Column("neurons", "neurons", 2),
]


def make(request: Request) -> Table:
    """Compare updates by the facts' own neurons and by random ones."""
    cells = []
    for model, path in request.files():
        for name, edits in pd.read_csv(path).groupby("set", sort=False):
            ones = np.ones(len(edits))
            for column, metric in SHARES.items():
                cells.append(cell(model, name, metric, ratio_interval(PERCENT * edits[column].to_numpy(float), ones)))
            edited = edits.loc[edits["neurons"] > 0, "success"].to_numpy(float)
            if len(edited):
                cells.append(cell(model, name, "success_edited", ratio_interval(PERCENT * edited, 0 * edited + 1)))
            for column in ("reciprocal_rank", "neurons"):
                cells.append(cell(model, name, column, ratio_interval(edits[column].to_numpy(float), ones)))
            for column in ("intra", "inter"):
                before, after = (edits[f"{column}_{phase}"].to_numpy(float) for phase in ("before", "after"))
                cells.append(cell(model, name, column, perplexity_change(before, after)))
    table = compare("table_5", cells, request.reported("table_5"), against(request, "random"))
    notes = notes_of(
        request,
        "Statuses compare the step from random neurons with the paper's. A fact all of whose neurons are common to its "
        "relation has none to edit and stays as it is.",
        "As the head reads words: not the tails' input embeddings are written, but the directions in which the last "
        "layer's output raises their scores most (not in the paper).",
    )
    return Table(table, Layout("Table 5: updating facts", COLUMNS, "Neurons", notes))


if __name__ == "__main__":
    table_main(make, __doc__)
