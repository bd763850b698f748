"""Table 4 (2022): early exit."""

import pandas as pd

from shared.report.item_command import Request, Table, table_main
from shared.report.layouts import Column, Layout
from shared.report.tables import Cell, Comparison, compare

NAMES = {
    "ours": "values' clusters",
    "residual": "regression on the residual",
    "ffn": "regression on the layer's output",
    "both": "regression on both",
    "saturation": "where it settles (bound)",
}


def make(request: Request) -> Table:
    """Compare accuracy and layers saved, each ± one standard deviation over five divisions, as in the paper."""
    ((model, path),) = request.files()
    frame, cells = pd.read_csv(path), []
    for key, title in NAMES.items():
        own = frame[frame["method"] == key]
        for metric in ("accuracy", "saved"):
            mean, std = own[metric].mean(), own[metric].std(ddof=0)
            cells.append(Cell(model, title, "sentences", metric, mean, mean - std, mean + std, len(own)))
    # The paper's early exit is of the first paper's model, not of the second one's.
    how = Comparison(request.settings["stands_for_first"], exact=False, baseline=NAMES["residual"])
    table = compare("table_b4", cells, request.reported("table_b4"), how)
    notes = [
        f"Scale: {request.settings['scale']}. Brackets: ± one standard deviation over five random divisions into "
        "training and test sentences. Accuracy: the best token at the exit is the whole model's."
    ]
    columns = [Column("accuracy", "accuracy, %", 1), Column("saved", "layers saved", 2)]
    return Table(table, Layout("Table 4 (2022): early exit", columns, "Rule", notes))


if __name__ == "__main__":
    table_main(make, __doc__)
