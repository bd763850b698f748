"""What this run makes of the paper's settings."""

from collections.abc import Mapping
from typing import Any

from shared.learning.study_plan import StudyPlan

LEARNED = ["papers.knowledge_editor.method", "papers.mend.tuning"]
STUDIES = ["claims", "questions"]


class Plan(StudyPlan):
    """The paper's studies in one run; fine-tuning is MEND's program, which edits the same maps.

    Args:
        config: settings of the paper with the run's own under `run`.
    """

    def __init__(self, config: Mapping[str, Any]):
        super().__init__("knowledge_editor", config, LEARNED)
