"""Table 1: the records by relation, beside the paper's total."""

import argparse
from pathlib import Path

from papers._template.counts import count_by_relation, read_prompts
from shared import runtime
from shared.report.items import add_table_options, write_table_item
from shared.report.layouts import Column, Layout
from shared.report.tables import Cell, Comparison, compare, read_reported

LAYOUT = Layout(
    title="Table 1: records by relation",
    columns=[Column("records", "records", 0), Column("prompt_words", "words per prompt")],
    row_title="Relation",
    notes=["Counted on this run's own file; the paper's number is of the published one."],
)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line that the workflow calls."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--counterfact", type=Path, required=True)
    parser.add_argument("--min-records", type=int, required=True)
    add_table_options(parser)
    chosen = parser.parse_args(arguments)
    runtime.start_logging()
    cells = []
    for relation, counts in count_by_relation(read_prompts(chosen.counterfact), chosen.min_records).items():
        row = {"model": "-", "method": relation, "dataset": "counterfact", "n": counts.records}
        cells += [
            Cell(**row, metric="records", value=counts.records),
            Cell(**row, metric="prompt_words", value=counts.prompt_words),
        ]
    table = compare("table_1", cells, read_reported(chosen.reported, "table_1"), Comparison(stands_for={"-": "-"}))
    write_table_item(table, LAYOUT, chosen)


if __name__ == "__main__":
    main()
