"""What this run makes of the paper's settings: the parameters of every rule beyond those of all learned editors."""

from collections.abc import Mapping
from typing import Any

from shared.learning.study_plan import StudyPlan
from shared.report.reporting import Item

LEARNED = [
    *["papers.mend.method", "papers.mend.enn", "papers.mend.tuning", "papers.mend.cache"],
    "papers.knowledge_editor.method",
]
# Item → the studies that it is made of, as far as the run makes them.
STUDIES = {
    "table_3": ["generation_large", "questions_large"],
    "table_4": ["claims", "questions", "generation"],
    "table_5": ["questions", "batches"],
    "table_6": ["ablations_questions", "ablations_generation"],
    "table_9": ["ablations_questions", "ablations_generation"],
    "table_11": ["claims", "questions", "generation"],
    "figure_batches": ["questions", "batches"],
}


class Plan(StudyPlan):
    """The paper's settings in one run.

    Args:
        config: settings of the paper with the run's own under `run`.
    """

    def __init__(self, config: Mapping[str, Any]):
        super().__init__("mend", config, LEARNED)

    def continuations(self) -> str:
        """Return the options that say how continuations are sampled."""
        own = self._config["continuations"]
        sampled = f"--tokens {own['tokens']} --top-k {own['top_k']} --seed {self._config['run']['seed']}"
        return f"--first {own['train']} {own['validation']} {sampled} {self.device}"

    def shows_edits(self) -> bool:
        """Return whether this run trains the editor whose edits are shown in words."""
        return "questions" in self.studies

    def shown_inputs(self) -> list[str]:
        """Return the file of edits in words, if the run makes it."""
        return [f"<results>/{self.paper}/shown.jsonl"] if self.shows_edits() else []

    def shown(self) -> str:
        """Return the options that say which edits are shown."""
        records = " ".join(map(str, self._config["items"]["shown"]))
        return f"--records {records} --seed {self._config['run']['seed']} {self.device}"

    def question_model(self) -> str:
        """Return the card of the model of questions."""
        return f"<results>/models/{self._config['tasks']['questions']['model']}/card.json"

    def question_file(self) -> str:
        """Return the file of questions that the editor has not seen."""
        return f"<results>/data/{self._config['tasks']['questions']['files'][1]}"

    def tables(self) -> dict[str, Item]:
        """Return what each table is made from."""
        words = [(self._config["tasks"]["questions"]["model"], file) for file in self.shown_inputs()]
        studied = {item: self._studied(item) for item in STUDIES if item.startswith("table")}
        return {"table_1": Item([], []), "table_2": Item.of(words), **studied}

    def figures(self) -> dict[str, Item]:
        """Return what the figures that this run has numbers for are made from."""
        item = self._studied("figure_batches")
        return {"figure_batches": item} if item.files else {}

    def _studied(self, item: str) -> Item:
        studies = STUDIES[item]
        return Item(self.summaries(studies), self.study_models(studies), self.study_settings(studies))
