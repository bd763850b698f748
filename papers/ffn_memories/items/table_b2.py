"""Table 2 (2022): what sub-updates give the token of a saturation or elimination event."""

import pandas as pd

from papers.ffn_memories.items.estimates import means
from shared.report.item_command import Request, Table, table_main
from shared.report.layouts import Column, Layout
from shared.report.tables import Cell, Comparison, compare

SCORES = {"max": "greatest score", "mean": "mean score", "min": "least score"}


def make(request: Request) -> Table:
    """Compare dominant with random sub-updates."""
    ((model, path),) = request.files()
    frame, cells = pd.read_csv(path), []
    for score in SCORES:
        for line in means(frame, ["event", "sub_updates"], score).itertuples():
            name = f"{line.event}, {line.sub_updates}"
            cells.append(Cell(model, name, "sentences", score, line.value, line.low, line.high, line.n))
    how = Comparison(request.comparison().stands_for, exact=request.settings["exact"], baseline="saturation, random")
    table = compare("table_b2", cells, request.reported("table_b2"), how)
    notes = [
        f"Scale: {request.settings['scale']}. Brackets: 95 % interval over events. Scores are changes of the token's "
        "log-odds by one of ten sub-updates, before the final norm. Saturation: from this layer on the final token is "
        "the best; elimination: the residual's best token loses most ranks through this layer."
    ]
    columns = [Column(key, title, 2) for key, title in SCORES.items()]
    return Table(table, Layout("Table 2 (2022): sub-updates at events", columns, "Event, sub-updates", notes))


if __name__ == "__main__":
    table_main(make, __doc__)
