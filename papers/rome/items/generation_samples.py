"""Generation samples (the kind of Figures 6, 19, 20 and 25): what the model writes before and after each edit."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from shared.editing.methods import title_of
from shared.errors import DataError
from shared.records import read_jsonl
from shared.report.item_command import Listing, Request, table_main

PROMPTS_PER_CASE = 2


def samples_of(path: Path, positions: Sequence[int]) -> pd.DataFrame:
    """Return the texts of the cases at `positions`, for the first distinct prompts of each and for every editor.

    Raises:
        DataError: if no texts were generated, or no case is at these positions.
    """
    rows = list(read_jsonl(path))
    texts = [row for row in rows if row["kind"] == "generation"]
    if not texts:
        raise DataError(f"{path}: no generated texts; run with `generation: true`")
    cases = list(dict.fromkeys(row["case_id"] for row in texts))
    lines = []
    for case in [cases[place] for place in positions if place < len(cases)]:
        own = [row for row in texts if row["case_id"] == case]
        edit = next(row for row in rows if row["case_id"] == case and row["kind"] == "rewrite")
        prompts = list(dict.fromkeys(row["prompt"] for row in own))[:PROMPTS_PER_CASE]
        for prompt in prompts:
            shown = f"{edit['prompt']} {edit['target_true']} → {edit['target_new']}"
            by_editor = {row["editor"]: row["text"] for row in reversed(own) if row["prompt"] == prompt}
            for editor in dict.fromkeys(row["editor"] for row in own):
                lines.append([case, shown, title_of(editor), prompt, by_editor[editor].removeprefix(prompt).strip()])
    if not lines:
        raise DataError(f"{path}: {len(cases)} cases, none at positions {list(positions)}")
    return pd.DataFrame(lines, columns=["case", "edit", "editor", "prompt", "continuation"])


def make(request: Request) -> Listing:
    """List texts of the chosen cases."""
    ((model, path),) = request.files()
    notes = [
        f"Model: {model}. For each prompt one sampled text per editor, all from the same random draws; sampled as for "
        "GE and RS in Table 4, and chosen by position in the data, not by quality."
    ]
    return Listing("Generation samples", notes, samples_of(path, request.settings["cases"]))


if __name__ == "__main__":
    table_main(make, __doc__)
