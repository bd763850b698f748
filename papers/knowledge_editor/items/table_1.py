"""Table 1: what KnowledgeEditor changes, and what it leaves, beside fine-tuning."""

from shared.report.editing_results import notes_of, read_csv
from shared.report.item_command import Request, Table, table_main
from shared.report.layouts import Column, Layout
from shared.report.tables import Cell, compare

COLUMNS = [
    Column("edit_success_edited", "Success rate"),
    Column("retained", "Retain accuracy"),
    Column("equivalence", "Equivalence accuracy"),
    Column("deterioration", "Performance deterioration", 2),
]
NOTE = (
    "Percent. Success: the edited input is answered as wanted. Retain: statements whose prediction stays. Equivalence: "
    "paraphrases that are answered as the edited input is. Deterioration: right answers lost. All teacher-forced (D3)."
)


def make(request: Request) -> Table:
    """Compare editors on claims and questions."""
    metrics = [column.metric for column in COLUMNS]
    cells = []
    for (model, path), dataset in zip(request.files(), request.settings["datasets"], strict=True):
        summary = read_csv(path, ["editor", "edits", "metric", "mean", "low", "high", "n"])
        for line in summary[summary["metric"].isin(metrics)].itertuples():
            cells.append(Cell(model, line.editor, dataset, line.metric, line.mean, line.low, line.high, int(line.n)))
    frame = compare("table_1", cells, request.reported("table_1"), request.comparison())
    return Table(frame, Layout("Table 1: KnowledgeEditor", COLUMNS, notes=[notes_of(request), NOTE]))


if __name__ == "__main__":
    table_main(make, __doc__)
