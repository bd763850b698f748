"""Table 5 (2022): controlled writing by switching values on."""

import math

import pandas as pd

from papers.ffn_memories.items.estimates import means
from shared.report.item_command import Request, Table, table_main
from shared.report.layouts import Column, Layout
from shared.report.tables import Cell, compare

COLUMNS = {
    "unwanted": "texts with the unwanted class, %",
    "wanted": "texts with the wanted class, %",
    "unwanted_probability": "next token unwanted, %",
    "wanted_probability": "next token wanted, %",
}


def make(request: Request) -> Table:
    """Compare switched-on values of the wanted class with random ones and with a word filter."""
    ((model, path),) = request.files()
    frame, cells = pd.read_csv(path), []
    switched = frame["coefficient"].map(", set to {:g}".format).where(frame["values"] > 0, "")
    frame["name"] = frame["set"] + switched
    for column in COLUMNS:
        for line in means(frame.assign(percent=100 * frame[column]), ["name"], "percent").itertuples():
            cells.append(Cell(model, line.name, "prompts", column, line.value, line.low, line.high, line.n))
    for name, own in frame.groupby("name", sort=False):
        if own["nll"].notna().all():
            cells.append(Cell(model, name, "prompts", "perplexity", math.exp(own["nll"].iloc[0])))
    table = compare("table_b5", cells, request.reported("table_b5"), request.comparison())
    unwanted, wanted = request.settings["classes"]
    notes = [
        f"Scale: {request.settings['scale']}. Prompts call for words of type {unwanted}; the values promote type "
        f"{wanted}. The paper's unwanted class is toxic language (58.5 % of GPT-2's texts, 30.8 % with ten chosen "
        "values switched on, perplexity 21.7 and 25.3). Perplexity: of held-out sentences."
    ]
    columns = [*(Column(key, title, 1) for key, title in COLUMNS.items()), Column("perplexity", "perplexity", 2)]
    return Table(table, Layout("Table 5 (2022): controlled writing", columns, "Values switched on", notes))


if __name__ == "__main__":
    table_main(make, __doc__)
