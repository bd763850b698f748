"""Which settings an editor gets: the paper's, a problem's, the released code's, and a model's own, put together."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

CONFIG = Path(__file__).with_name("config.yaml")
# What says how a method is run rather than what it does.
FRAME = ("method", "window", "edit_batch")


def _of_model(config: Mapping[str, Any], model: str, kind: str) -> Mapping[str, Any]:
    return config["models"].get(model, {}).get(kind, {})


def editor_of(config: Mapping[str, Any], model: str, editor: str) -> dict[str, Any]:
    """Return what an editor has in common for all problems in a model: method, window, edit_batch and settings.

    Args:
        config: the paper's settings.
        model: its key; one without an entry gets the paper's settings.
        editor: ft_1, ft_5, rome or memit.
    """
    return {**config["editors"][editor], **_of_model(config, model, "editors").get(editor, {})}


def method_settings(config: Mapping[str, Any], model: str, editor: str, problem: str) -> dict[str, Any]:
    """Return the settings that an editor's method gets for a problem.

    The more special ones win, in this order: the editor's, the problem's, the released code's under `as_released`, the
    model's own for the editor, and for the problem.
    """
    levels = [
        config["problems"].get(problem, {}),
        config["released"].get(problem, {}) if config["mode"] == "as_released" else {},
        _of_model(config, model, "editors"),
        _of_model(config, model, "problems").get(problem, {}),
    ]
    settings = dict(config["editors"][editor])
    for level in levels:
        settings |= level.get(editor, {})
    return {name: value for name, value in settings.items() if name not in FRAME}
