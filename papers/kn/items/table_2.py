"""Table 2: how many neurons a fact has, and how many two facts share."""

from papers.kn.analysis import intersections, read_sets, sizes
from papers.kn.items.wording import against, cell, notes_of
from shared.records import read_json
from shared.report.item_command import Request, Table, table_main
from shared.report.layouts import Column, Layout
from shared.report.tables import compare

METHODS = ("ig", "activation")
COLUMNS = [
    Column("neurons", "neurons of a fact", 2),
    Column("intra", "shared within a relation", 2),
    Column("inter", "shared across relations", 2),
]


def make(request: Request) -> Table:
    """Compare knowledge neurons with the activation baseline."""
    cells, shapes = [], []
    for model, path in request.files():
        layers, width = read_json(path)["shape"]
        shapes.append(f"{model}: {layers} layers of {width} neurons.")
        for method in METHODS:
            facts = read_sets(path, method)
            for metric, found in {"neurons": sizes(facts), **intersections(facts)}.items():
                cells.append(cell(model, method, metric, found))
    frame = compare("table_2", cells, request.reported("table_2"), against(request, "activation"))
    notes = notes_of(request, *shapes, "Statuses compare the step from the activation baseline with the paper's.")
    return Table(frame, Layout("Table 2: statistics of knowledge neurons", COLUMNS, "Neurons", notes))


if __name__ == "__main__":
    table_main(make, __doc__)
