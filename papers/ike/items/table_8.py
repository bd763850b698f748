"""Table 8: a test case, field by field."""

import pandas as pd

from papers.ike.demonstrations import new_fact
from shared.data.requests import read_counterfact
from shared.report.item_command import Listing, Request, table_main


def make(request: Request) -> Listing:
    """List the fields of the first chosen case; its attribute prompts are the wrong relations of Table 5."""
    ((_, path),) = request.files()
    cases = read_counterfact(path)
    case = cases[min(request.settings["cases"][0], len(cases) - 1)]
    lines = [["new fact", new_fact(case.request)], ["true object", case.request.target_true]]
    prompts = {
        "paraphrase": case.paraphrase_prompts,
        "neighborhood": case.neighborhood_prompts,
        "wrong relation": case.attribute_prompts,
    }
    lines += [[kind, prompt] for kind, own in prompts.items() for prompt in own]
    return Listing("Table 8: a test case", [f"Case {case.case_id}."], pd.DataFrame(lines, columns=["field", "text"]))


if __name__ == "__main__":
    table_main(make, __doc__)
