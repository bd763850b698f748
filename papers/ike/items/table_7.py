"""Table 7: the demonstrations of some edits, from the least similar record to the most similar one."""

import pandas as pd

from papers.ike.choice import Chooser
from papers.ike.demonstrations import new_fact, own_copy
from papers.ike.hyperparams import IkeHyperparams
from shared.data.requests import read_counterfact
from shared.errors import DataError
from shared.report.item_command import Listing, Request, table_main


def make(request: Request) -> Listing:
    """List the demonstrations of the chosen cases; the inputs are the test cases and the pool."""
    (_, cases_file), (_, pool_file) = request.files()
    cases, pool = read_counterfact(cases_file), read_counterfact(pool_file)
    chosen = [cases[place] for place in request.settings["cases"] if place < len(cases)]
    if not chosen:
        raise DataError(f"{cases_file}: {len(cases)} cases, none at positions {request.settings['cases']}")
    settings = IkeHyperparams(**request.settings["ike"])
    requests = [case.request for case in chosen]
    lines = []
    for edit, demonstrations in zip(requests, Chooser(pool, settings).choose(requests), strict=True):
        own = [own_copy(edit)] if settings.append_target_copy else []
        for one in [*demonstrations, *own]:
            lines.append([edit.case_id, new_fact(edit), one.case_id, one.kind, one.fact, f"{one.prompt} {one.answer}"])
    frame = pd.DataFrame(lines, columns=["case", "edit", "record", "kind", "new fact", "prompt and answer"])
    return Listing("Table 7: demonstrations", ["Cases are chosen by their position in the data."], frame)


if __name__ == "__main__":
    table_main(make, __doc__)
