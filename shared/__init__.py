"""The small core that every paper uses; it imports no paper.

`from shared import ModelEditor` is the door for editing a model of one's own by any of the methods.
"""

from typing import Any


def __getattr__(name: str) -> Any:
    # Loaded when it is asked for: most programs of this package need no model.
    if name == "ModelEditor":
        from shared.editing.model_editor import ModelEditor

        return ModelEditor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
