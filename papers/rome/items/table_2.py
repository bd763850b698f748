"""Table 2: how many records, subjects, objects and prompts CounterFact holds, in all, per relation and per record."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np

from shared.data.requests import Case, read_counterfact
from shared.report.item_command import Request, Table, table_main
from shared.report.layouts import Column, Layout
from shared.report.tables import Cell, Reported, compare

# Objects are the counterfactual ones: the table gives one per record.
PARTS: dict[str, Callable[[Case], Iterable]] = {
    "records": lambda case: [case.case_id],
    "subjects": lambda case: [case.request.subject],
    "objects": lambda case: [case.request.target_new],
    "statements": lambda case: [case.request.prompt.replace("{}", case.request.subject)],
    "paraphrases": lambda case: case.paraphrase_prompts,
    "neighborhood": lambda case: case.neighborhood_prompts,
    "generation": lambda case: case.generation_prompts,
}


PER = ("total", "per_relation", "per_record")


def composition(cases: Sequence[Case]) -> dict[tuple[str, str], float]:
    """Return the number of distinct things of each kind: in all, and on average per relation and per record."""
    by_relation = defaultdict(list)
    for case in cases:
        by_relation[case.request.relation_id].append(case)
    counts = {}
    for part, things in PARTS.items():
        groups = {"total": [cases], "per_relation": by_relation.values(), "per_record": [[case] for case in cases]}
        for per, members in groups.items():
            counts[part, per] = float(np.mean([_distinct(group, things) for group in members]))
    return counts


def _distinct(cases: Iterable[Case], things: Callable[[Case], Iterable]) -> int:
    return len({thing for case in cases for thing in things(case)})


def _one_row_per_part(row: Reported) -> Reported:
    """Turn `records_total` into row `records` and column `total`."""
    part, per = row.metric.split("_", 1)
    return replace(row, method=part, metric=per)


def make(request: Request) -> Table:
    """Count the records of the file that all runs on CounterFact read."""
    cells = []
    for _, path in request.files():
        cases = read_counterfact(path)
        cells += [
            Cell("-", part, "counterfact", per, value, n=len(cases))
            for (part, per), value in composition(cases).items()
        ]
    frame = compare(
        "table_2", cells, [_one_row_per_part(row) for row in request.reported("table_2")], request.comparison()
    )
    columns = [Column(per, per.replace("_", " "), 0 if per == "total" else 1) for per in PER]
    return Table(frame, Layout("Table 2: composition of CounterFact", columns, row_title="Distinct"))


if __name__ == "__main__":
    table_main(make, __doc__)
