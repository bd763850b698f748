"""Replies of a dialogue model in words, before and after edits of the sentiment about some topics."""

import pandas as pd

from shared.records import read_jsonl
from shared.report.item_command import Listing, Request, table_main

PROBLEM = "convsent"
COLUMNS = {
    "edit": "edit",
    "asked": "asked",
    "input": "prompt",
    "covered_by": "covered_by",
    "reply_before": "reply_before",
    "sentiment_before": "sentiment_before",
    "reply_after": "reply_after",
    "sentiment_after": "sentiment_after",
    "right_after": "fits",
    "same": "same",
}
NOTE = (
    "Ten edits are held at once; the first of them are shown, each with prompts about its topic, about another topic, "
    "and about one of a similar name where there is one. Replies are the most probable ones, token by token; their "
    "sentiments are a trained scorer's. `fits`: the reply names the topic of the prompt and, about an edited topic, "
    "has the edit's sentiment. `same`: the edits leave the reply as it was."
)
ABSENT = "NOT_RUN: this run makes no study of sentiments (`items.studies` of papers/serac)."


def make(request: Request) -> Listing:
    """Return the rows of the main variant of the studies about sentiments."""
    rows = []
    for (_, path), problem in zip(request.files(), request.settings["datasets"], strict=True):
        rows += [row for row in read_jsonl(path) if problem == PROBLEM and row["editor"] == "serac"]
    frame = pd.DataFrame(rows, columns=list(COLUMNS)).rename(columns=COLUMNS)
    return Listing("Replies before and after edits of sentiments", [NOTE] if rows else [ABSENT], frame)


if __name__ == "__main__":
    table_main(make, __doc__)
