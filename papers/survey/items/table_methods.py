"""The methods: what the paper says of them, and what this run made of them."""

import pandas as pd

from papers.survey.contract import METHODS
from papers.survey.items.results import costs_of, curves_of, in_protocol, metrics_of
from shared.editing.methods import title_of
from shared.report.item_command import Listing, Request, table_main
from shared.report.layouts import number
from shared.report.tables import NOT_RUN

HEADER = ["class", "training", "batches", "place", "what is added or changed"]
# The paper's overview in our words; of the first five the paper has no line.
SAID = {
    "none": ("no edit", "", "", "", ""),
    "prompt": ("keeps the weights, input", "no", "no", "input", "nothing: the new fact stands before the question"),
    "random": ("changes weights, control", "no", "no", "one MLP", "a random change of the size of ROME's"),
    "ft": ("changes weights, tuning", "no", "yes", "one MLP", "one weight"),
    "ft_l": ("changes weights, tuning", "no", "yes", "one MLP", "one weight, within a norm"),
    "kn": ("changes weights, located", "no", "no", "MLPs", "some neurons"),
    "ke": ("changes weights, learned", "yes", "yes", "MLPs", "a network that predicts the change"),
    "mend": ("changes weights, learned", "yes", "yes", "MLPs", "networks that transform gradients"),
    "rome": ("changes weights, located", "no", "no", "one MLP", "one projection"),
    "memit": ("changes weights, located", "no", "yes", "several MLPs", "their projections"),
    "t_patcher": ("keeps the weights, added neurons", "no", "no", "last MLP", "neurons per mistake"),
    "calinet": ("keeps the weights, added neurons", "no", "yes", "one MLP", "a fixed number of neurons"),
    "ike": ("keeps the weights, memory", "no", "no", "input", "nothing: demonstrations stand before the question"),
    "serac": ("keeps the weights, memory", "yes", "yes", "outside", "a classifier of scope and a second model"),
}
NOTES = [
    "Left, the paper's overview. Right, what this run measured for each of its models: seconds of training, the "
    "largest batch and the longest sequence that was edited, and the size of a sequence's first edit: the norm of what "
    "it changes or adds over that of the matrices that it changes or adds to.",
]


def _measured(model: str, editor: str, metrics: pd.DataFrame, costs: pd.DataFrame, curves: pd.DataFrame) -> dict:
    own = {
        name: frame[frame["model"].eq(model) & frame["editor"].eq(editor)]
        for name, frame in {"metrics": metrics, "costs": costs, "curves": curves}.items()
    }
    seconds = pd.to_numeric(own["costs"]["training_seconds"]).max()
    sizes = own["metrics"].groupby("kind")["edits"].max()
    first = pd.to_numeric(own["curves"]["norm_growth"][own["curves"]["edits"] == 1])
    return {
        f"{model}: trained, s": number(seconds, 1) if seconds == seconds else "",
        f"{model}: largest batch": str(sizes.get("batch", NOT_RUN)),
        f"{model}: longest sequence": str(sizes.get("sequence", NOT_RUN)),
        f"{model}: size of an edit": NOT_RUN if first.isna().all() else number(first.mean(), 4),
    }


def make(request: Request) -> Listing:
    """Return one line per method."""
    metrics, costs, curves = in_protocol(metrics_of(request)), costs_of(request), curves_of(request)
    rows = []
    for editor in METHODS:
        row = {"method": title_of(editor)} | dict(zip(HEADER, SAID[editor], strict=True))
        for model in dict.fromkeys(metrics["model"]):
            row |= _measured(model, editor, metrics, costs, curves)
        rows.append(row)
    return Listing("Methods", NOTES, pd.DataFrame(rows))


if __name__ == "__main__":
    table_main(make, __doc__)
