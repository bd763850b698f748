"""Where mistakes come from: each part by itself, on easy and hard inputs in and out of scope."""

from papers.serac.items.results import PROBLEMS
from shared.report.editing_results import notes_of, read_csv
from shared.report.item_command import Request, Table, table_main
from shared.report.layouts import Column, Layout
from shared.report.tables import Cell, compare

COLUMNS = [
    Column("scope", "Scope classifier right"),
    Column("retrieval", "Right edit retrieved"),
    Column("counterfactual", "Counterfactual model right"),
]
KINDS = {"in_easy": "in scope, easy", "in_hard": "in scope, hard", "out_easy": "out, easy", "out_hard": "out, hard"}
NOTE = (
    "In percent, with ten edits held at once. Easy inputs in scope are the edits' own and their paraphrases, hard ones "
    "follow from them; hard inputs out of scope share the subject or the relation with an edit. The counterfactual "
    "model gets the right edit."
)


def make(request: Request) -> Table:
    """Return the shares of right decisions by kind of input, one block of rows per problem and variant."""
    cells = []
    for (model, path), problem in zip(request.files(), request.settings["datasets"], strict=True):
        frame = read_csv(path, ["kind", "metric", "mean", "low", "high", "n", "editor"])
        for line in frame.itertuples():
            form = "" if line.editor == "serac" else f" ({line.editor})"
            row = f"{PROBLEMS[problem]}{form}, {KINDS[line.kind]}"
            cells.append(Cell(model, row, problem, line.metric, line.mean, line.low, line.high, int(line.n)))
    frame = compare("table_parts", cells, request.reported("table_parts"), request.comparison())
    shown = [column for column in COLUMNS if (frame["metric"] == column.metric).any()]
    return Table(frame, Layout("The parts by themselves", shown, "Inputs", [notes_of(request), NOTE]))


if __name__ == "__main__":
    table_main(make, __doc__)
