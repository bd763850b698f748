"""The measures under which the same edits can be looked at: protocol, scorer and metric, by one name each."""

from dataclasses import dataclass

import pandas as pd

from papers.survey.items.results import PLUS, ROME, SURVEY, WILD, in_protocol


@dataclass(frozen=True)
class Measure:
    """A measure's title, and the rows that it takes; of batches and sequences the longest that was run."""

    title: str
    kind: str
    scorer: str
    metric: str
    moment: str = ""


MEASURES = {
    "edit_forced": Measure("edit, forced", "single", SURVEY, "reliability"),
    "edit_free": Measure("edit, free", "single", WILD, "reliability"),
    "edit_likelier": Measure("edit, new above true (ES)", "single", ROME, "ES"),
    "edit_batch": Measure("edit, largest batch", "batch", SURVEY, "reliability"),
    "edit_immediate": Measure("edit, longest sequence, at once", "sequence", SURVEY, "reliability", "immediate"),
    "edit_final": Measure("edit, longest sequence, at the end", "sequence", SURVEY, "reliability", "final"),
    "rephrased_forced": Measure("rephrased, forced", "single", SURVEY, "generalization"),
    "rephrased_free": Measure("rephrased, free", "single", WILD, "generalization"),
    "rephrased_likelier": Measure("rephrased, new above true (PS)", "single", ROME, "PS"),
    "unrelated": Measure("unrelated, as before", "single", SURVEY, "locality"),
    "attribute": Measure("other attribute, as before", "single", SURVEY, "locality_other_attribute"),
    "neighbour": Measure("neighbour, true above new (NS)", "single", ROME, "NS"),
    "neighbour_after": Measure("neighbour after the fact (NS+)", "single", PLUS, "NS+"),
}
MAIN = "edit_forced"


def measured(metrics: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that belong to a measure, with its name in the column `measure`.

    Args:
        metrics: rows of `metrics_of`.
    """
    rows = in_protocol(metrics)
    found = []
    for name, measure in MEASURES.items():
        own = rows[
            (rows["kind"] == measure.kind)
            & (rows["scorer"] == measure.scorer)
            & (rows["metric"] == measure.metric)
            & (rows["moment"] == measure.moment)
        ]
        longest = own.groupby(["model", "form"])["edits"].transform("max")
        found.append(own[own["edits"] == longest].assign(measure=name))
    return pd.concat(found, ignore_index=True)
