"""The numbers that the text states about causal tracing (§2.2, App. B.1), beside Figure 2."""

import math
from dataclasses import replace

from shared.report.editing_results import notes_of, read_csv
from shared.report.item_command import Request, Table, table_main
from shared.report.layouts import Column, Layout
from shared.report.tables import Cell, compare

# Metric of reported.csv → what it is; the rows of the table, in order.
ROWS = {
    "average_total_effect": "average total effect",
    "clean_probability": "probability of the answer, clean",
    "corrupted_probability": "probability of the answer, corrupted",
    "states_last_subject_peak": "states at the last subject token: peak AIE",
    "states_last_subject_peak_layer": "states at the last subject token: layer of the peak",
    "states_last_peak": "states at the last token: peak AIE",
    "states_last_peak_layer": "states at the last token: layer of the peak",
    "mlp_last_subject_peak": "MLPs at the last subject token: peak AIE",
    "mlp_last_subject_peak_layer": "MLPs at the last subject token: layer of the peak",
    "mlp_last_peak": "MLPs at the last token: peak AIE",
    "attention_last_subject_peak": "attention at the last subject token: peak AIE",
    "attention_last_peak": "attention at the last token: peak AIE",
    "attention_last_peak_layer": "attention at the last token: layer of the peak",
    "states_last_subject_best": "states at the last subject token: best probability",
    "mlp_anywhere_best": "MLPs anywhere: best probability",
    "attention_anywhere_best": "attention anywhere: best probability",
    "severed_ordinary_lower_half": "state at the last subject token, lower layers: AIE",
    "severed_mlp_lower_half": "the same with MLPs severed: AIE",
    "severed_attention_lower_half": "the same with attention severed: AIE",
    "severed_ordinary_upper_half": "state at the last subject token, upper layers: AIE",
    "severed_mlp_upper_half": "the same with MLPs severed, upper layers: AIE",
}


def make(request: Request) -> Table:
    """Compare average effects with the paper's."""
    cells = []
    for model, path in request.files():
        lines = read_csv(path, ["metric", "value", "low", "high", "n"])
        found = {line.metric: line for line in lines.itertuples()}
        for metric, title in ROWS.items():
            if metric in found:
                line = found[metric]
                bounds = (None, None) if math.isnan(line.low) else (line.low, line.high)
                cells.append(Cell(model, title, "known_facts", "value", line.value, *bounds, int(line.n)))
    paper = [replace(row, method=ROWS[row.metric], metric="value") for row in request.reported("figure_2")]
    frame = compare("figure_2", cells, paper, request.comparison())
    note = (
        "AIE: mean difference from the corrupted probability, in percent, at the layer where it peaks or averaged over "
        "the lower or upper half of the layers. Best probability: mean over facts of each fact's best restored one."
    )
    columns = [Column("value", "percent, or layer")]
    layout = Layout("Figure 2 in numbers: causal tracing", columns, row_title="What", notes=[notes_of(request), note])
    return Table(frame, layout)


if __name__ == "__main__":
    table_main(make, __doc__)
