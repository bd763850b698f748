"""Figure 3: what the model writes about edited subjects."""

from pathlib import Path

import pandas as pd

from shared.data.probes import GENERATION, read_rows
from shared.editing.methods import title_of
from shared.errors import DataError
from shared.report.item_command import Listing, Request, table_main

PROMPTS_PER_CASE = 2


def texts_of(path: Path) -> pd.DataFrame:
    """Return the texts of every case that has some, for its first distinct prompts, by editor.

    Raises:
        DataError: no texts were generated.
    """
    rows = list(read_rows(path))
    edits = {row.case_id: row for row in rows if row.kind == "rewrite"}
    texts = [row for row in rows if row.kind == GENERATION]
    if not texts:
        raise DataError(f"{path}: no generated texts; run with `generation: true`")
    lines = []
    for case_id in dict.fromkeys(row.case_id for row in texts):
        own, edit = [row for row in texts if row.case_id == case_id], edits[case_id]
        shown = f"{edit.prompt} {edit.target_true} → {edit.target_new}"
        for prompt in list(dict.fromkeys(row.prompt for row in own))[:PROMPTS_PER_CASE]:
            # The same prompt may stand several times in a case: its first text counts.
            first = {
                row.editor: row.text.strip().removeprefix(prompt).strip()
                for row in reversed(own)
                if row.prompt == prompt
            }
            lines += [
                [case_id, shown, title_of(row), prompt, first[row]] for row in dict.fromkeys(r.editor for r in own)
            ]
    return pd.DataFrame(lines, columns=["case", "edit", "editor", "prompt", "continuation"])


def make(request: Request) -> Listing:
    """List the texts of one run."""
    ((model, path),) = request.files()
    notes = [f"Model: {model}. One sampled text per editor and prompt, all from the same random draws."]
    return Listing("Figure 3: generated texts", notes, texts_of(path))


if __name__ == "__main__":
    table_main(make, __doc__)
