"""What this run makes of the paper's settings: the parameters of every rule beyond those of all learned editors."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from shared.learning.study_plan import StudyPlan
from shared.report.reporting import item_sources

OTHERS = ["papers.mend.method", "papers.mend.enn", "papers.mend.tuning", "papers.mend.cache"]
LEARNED = ["papers.serac.method", *OTHERS]
SCRIPTS = ["papers.serac.compare"]
# Format of the tasks whose edits are sentiments, and what asks about them.
SENTIMENTS = "sentiments"
SENTIMENT_SCRIPTS = ["papers.serac.sentiment_compare"]
# Item → the files of each study that it is made of.
ITEMS = {
    "table_1": "summaries",
    "figure_edits": "summaries",
    "table_classifiers": "summaries",
    "table_parts": "parts",
    "table_problems": "shown",
    "table_dialogue": "shown",
}


class Plan(StudyPlan):
    """The paper's studies in one run; the editors to compare with are MEND's programs.

    Args:
        config: settings of the paper with the run's own under `run`.
    """

    items = tuple(ITEMS)

    def __init__(self, config: Mapping[str, Any]):
        super().__init__("serac", config, LEARNED)

    def starts(self, wildcards: Any) -> list[str]:
        """Return the cards of the models that the parts of a study start from."""
        names = dict.fromkeys(part["start"] for part in self._parts(wildcards.study).values())
        return [f"<results>/models/{name}/card.json" for name in names]

    def pattern(self, *, sentiments: bool) -> str:
        """Return a wildcard pattern of the studies whose edits are sentiments of replies, or of all others."""
        asked = {study: self.task_of(study)["format"] == SENTIMENTS for study in self._config["studies"]}
        return "|".join(study for study, own in asked.items() if own == sentiments) or "(?!)"

    def scorer(self, wildcards: Any) -> str:
        """Return the card of the classifier that reads the sentiments of replies."""
        return f"<results>/models/{self.task_of(wildcards.study)['scorer']}/card.json"

    def part_options(self, wildcards: Any) -> str:
        """Return the options of `papers.serac.train` that a study's task decides."""
        task = self.task_of(wildcards.study)
        return (
            f"--kind {self._model(task)['kind']} --format {task['format']} --held-out {task['held_out']}"
            f" --validation {task['validation']} --seed {self._config['run']['seed']} {self.device}"
        )

    def parts(self, wildcards: Any, input: Any) -> str:  # noqa: A002 (Snakemake's name)
        """Return a study's parts as JSON, each with the folder of the model that it starts from."""
        folders = {path.split("/")[-2]: path.rsplit("/", 1)[0] for path in map(str, input.starts)}
        found = {}
        for name, part in self._parts(wildcards.study).items():
            training = self._config["part_training"] | part.get("training", {})
            found[name] = part | {"start": folders[part["start"]], "training": training}
        return json.dumps(found)

    def compared(self, wildcards: Any) -> str:
        """Return a study's variants as JSON, every setting filled in, and the numbers of edits that each holds."""
        variants = json.loads(self.trained_variants(wildcards))
        more = self._config["studies"][wildcards.study].get("held", {})
        held = self._config["held"]
        return json.dumps({name: own | {"at": more.get(name, [held])} for name, own in variants.items()})

    def compare_options(self, wildcards: Any) -> str:
        """Return the options of `papers.serac.compare` that a study decides."""
        test = self.task_of(wildcards.study)["test"]
        asked = " ".join(f"--{name} {test[name]}" for name in ("edits", "anchors", "shown"))
        return f"{self.study_options(wildcards)} {asked} --variants '{self.compared(wildcards)}'"

    def made(self, name: str) -> list[str]:
        """Return one file of each study that this run makes."""
        return [f"<results>/serac/studies/{study}/memory/{name}" for study in self.studies]

    def sources(self) -> Callable[[Any, Any], str]:
        """Return a function of wildcards and inputs: the files that each item is made from."""
        models = [self.task_of(study)["model"] for study in self.studies]
        return item_sources({item: (models, [files]) for item, files in ITEMS.items()})

    def settings(self) -> str:
        """Return, as JSON, what the items have to know of the studies."""
        return self.study_settings(self.studies, held=self._config["held"])

    def scripts(self) -> list[str]:
        """Return the modules that make the items."""
        return ["shared.report.make_items", *(f"papers.serac.items.{item}" for item in ITEMS)]

    def _parts(self, study: str) -> Mapping[str, Any]:
        return self.task_of(study)["parts"]
