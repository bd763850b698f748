"""Memory of editing and of training, beside the numbers of EasyEdit's README."""

from papers.survey.items.results import SINGLE, STEPS, costs_of, table_of
from shared.editing.methods import title_of
from shared.report.item_command import Request, Table, table_main
from shared.report.layouts import Column
from shared.report.tables import Cell

PARTS = {"peak_mib": "peak", "training_peak_mib": "training_peak"}
COLUMNS = [Column("peak", "An edit, GB", 4), Column("training_peak", "Training, GB", 4)]
GB_PER_MIB = 2**20 / 1e9
BASELINE = "rome"
NOTES = [
    "GB of 10^9 bytes, the larger of both forms. An edit: what it takes beyond the loaded model. Training: the whole "
    "process, in which other methods may be trained too. The paper's own figure has no printed numbers; those beside "
    "ours are of EasyEdit's README, model included. n counts runs of this workflow.",
    STEPS.format(title_of(BASELINE)),
]


def make(request: Request) -> Table:
    """Compare all editors by the memory that they need."""
    costs = costs_of(request)
    peaks = costs[costs["protocol"] == SINGLE].groupby(["model", "editor"], sort=False)[list(PARTS)].max()
    cells = [
        Cell(model, editor, "-", metric, float(peaks.loc[(model, editor), part]) * GB_PER_MIB, n=1)
        for model, editor in peaks.index
        for part, metric in PARTS.items()
        if peaks.loc[(model, editor), part] == peaks.loc[(model, editor), part]
    ]
    return table_of(request, "table_memory", "Memory of an edit", cells, COLUMNS, baseline=BASELINE, notes=NOTES)


if __name__ == "__main__":
    table_main(make, __doc__)
