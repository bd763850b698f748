"""KnowledgeEditor as an editor of decoders, from a trained file: `register("ke", …)`, for cases of any paper."""

from pathlib import Path

import papers.knowledge_editor.method  # noqa: F401 (a trained file is built by it)
from shared.editing.editors import register
from shared.learning.learned_editors import TrainedEditor


def make(*, file: str | Path | None = None) -> TrainedEditor:
    """Return KnowledgeEditor as trained in `file`; it edits one fact at a time."""
    return TrainedEditor("ke", "ke", file=file)


register("ke", make)
