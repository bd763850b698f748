"""MEND as an editor of decoders, from a trained file: `register("mend", …)`, for cases of any paper."""

from pathlib import Path

import papers.mend.method  # noqa: F401 (a trained file is built by it)
from shared.editing.editors import register
from shared.learning.learned_editors import TrainedEditor


def make(*, file: str | Path | None = None) -> TrainedEditor:
    """Return MEND as trained in `file`; a joint edit is one gradient of all requests, as in ROME's wrapper."""
    return TrainedEditor("mend", "mend", file=file)


register("mend", make)
