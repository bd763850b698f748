"""Table 6: erasing relations by their neurons' values."""

import numpy as np
import pandas as pd

from papers.kn.items.wording import SETS, notes_of
from shared.report.item_command import Request, Table, table_main
from shared.report.layouts import Column, Layout
from shared.report.tables import Cell, compare

COLUMNS = [
    Column("own_before", "perplexity before", 2),
    Column("own_after", "after", 2),
    Column("own_change", "change, %", 1),
    Column("others_before", "other relations before", 2),
    Column("others_after", "after", 2),
    Column("others_change", "change, %", 1),
    Column("own_accuracy", "accuracy after, %", 1),
    Column("own_neurons", "neurons there were", 0),
    Column("others_accuracy", "others' accuracy after, %", 1),
]


def make(request: Request) -> Table:
    """Compare perplexities before and after each erasure; they are counted over all prompts, so without intervals."""
    cells = []
    for model, path in request.files():
        for line in pd.read_csv(path).rename(columns={"count": "asked_for"}).itertuples():
            before, after = np.exp(line.nll_before), np.exp(line.nll_after)
            name = f"{line.relation}, {line.asked_for} {SETS[line.set][0]}"
            row = {"model": model, "method": name, "dataset": "pararel", "n": line.prompts}
            numbers = {"before": before, "after": after, "change": 100 * (after / before - 1)}
            numbers["neurons"] = line.neurons
            numbers["accuracy"] = 100 * line.accuracy_after
            cells += [Cell(**row, metric=f"{line.asked}_{key}", value=float(value)) for key, value in numbers.items()]
    table = compare("table_6", cells, request.reported("table_6"), request.comparison())
    notes = notes_of(
        request,
        "The most frequent neurons of a relation's facts, or equally many random ones; where its facts have "
        "fewer neurons together, those.",
    )
    return Table(table, Layout("Table 6: erasing relations", COLUMNS, "Relation, neurons erased", notes))


if __name__ == "__main__":
    table_main(make, __doc__)
