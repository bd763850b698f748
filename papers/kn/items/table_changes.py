"""The numbers that the text gives for Figures 4 and 5: mean changes over relations."""

import pandas as pd

from papers.kn.analysis import mean_change, ratio_interval
from papers.kn.items.wording import SETS, against, cell, notes_of
from shared.report.item_command import Request, Table, table_main
from shared.report.layouts import Column, Layout
from shared.report.tables import compare

COLUMNS = [
    Column("suppress", "set to zero: change of probability, %", 2),
    Column("amplify", "doubled: change of probability, %", 2),
    Column("suppress_log_odds", "set to zero: change of log-odds, nats", 3),
    Column("amplify_log_odds", "doubled: change of log-odds, nats", 3),
    Column("neurons", "neurons changed", 2),
]


def make(request: Request) -> Table:
    """Compare mean changes with the paper's."""
    cells = []
    for model, path in request.files():
        frame = pd.read_csv(path)
        for name in SETS:
            facts = frame[frame["set"] == name]
            for change in ("suppress", "amplify"):
                own = facts[facts["change"] == change]
                weights = own["prompts"].to_numpy(float)
                cells.append(cell(model, name, change, mean_change(own)))
                shift = ratio_interval(weights * own["log_odds"].to_numpy(), weights)
                cells.append(cell(model, name, f"{change}_log_odds", shift))
            sizes = own["neurons"].to_numpy(float)
            cells.append(cell(model, name, "neurons", ratio_interval(sizes, 0 * sizes + 1)))
    table = compare("table_changes", cells, request.reported("table_changes"), against(request, "activation"))
    notes = notes_of(
        request,
        "Change of the answer's probability: ratio of means over a relation's prompts, mean over relations. A fact "
        "that is known with a probability near 1 can hardly gain; log-odds show what doubling does there.",
        "Statuses compare the step from the activation baseline with the paper's.",
    )
    return Table(table, Layout("Suppressing and amplifying (§4.3)", COLUMNS, "Neurons", notes))


if __name__ == "__main__":
    table_main(make, __doc__)
