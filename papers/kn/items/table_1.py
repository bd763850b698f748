"""Table 1: templates of some relations."""

import pandas as pd

from papers.kn.cloze_facts import read_relations
from shared.errors import ConfigError
from shared.report.item_command import Listing, Request, table_main


def make(request: Request) -> Listing:
    """List the templates of the chosen relations."""
    patterns, facts = request.inputs
    found = {relation.id: relation for relation in read_relations(patterns, facts, min_patterns=1)}
    wanted = request.settings["templates"]
    missing = [name for name in wanted if name not in found]
    if missing:
        raise ConfigError(f"items.templates names {missing}, which {patterns} lacks; it has {sorted(found)}")
    rows = [[name, pattern] for name in wanted for pattern in found[name].patterns]
    counts = [len(relation.patterns) for relation in found.values()]
    note = f"{len(found)} relations with {sum(counts) / len(counts):.2f} templates each on average (the paper: 8.63)."
    return Listing("Table 1: templates", [note], pd.DataFrame(rows, columns=["relation", "template"]))


if __name__ == "__main__":
    table_main(make, __doc__)
