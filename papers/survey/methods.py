"""The survey's methods by name, each with the settings of its room and this room's on top.

`random` is the control: ROME's change with random directions. `none` edits nothing. Trained editors take the files that
their rooms made, one per form.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from papers.survey.random_direction import RandomDirection
from shared.data.requests import Case, EditRequest
from shared.editing.catalogue import find_method
from shared.editing.editors import Editor, make_editor, takes_of
from shared.edits.deltas import Edit
from shared.model.models import LM

CONTROL, CONTROLLED = "random", "rome"
# Methods whose edit holds all facts at once and stands in the place of the one before.
MEMORIES = ("serac",)


class Remembering:
    """Another editor, whose independent edits are remembered: its control need not search for them again.

    Only edits of the model as `edit_each` was first given it are remembered; nothing of a sequence is.
    """

    def __init__(self, editor: Editor):
        self.name, self._editor = editor.name, editor
        self._made: dict[EditRequest, Edit] = {}

    def edit(self, lm: LM, requests: Sequence[EditRequest]) -> Edit:
        """Return one edit that makes all `requests` hold together, made anew."""
        return self._editor.edit(lm, requests)

    def edit_each(self, lm: LM, requests: Sequence[EditRequest]) -> list[Edit]:
        """Return one independent edit per request."""
        missing = [request for request in requests if request not in self._made]
        if missing:
            self._made |= dict(zip(missing, self._editor.edit_each(lm, missing), strict=True))
        return [self._made[request] for request in requests]


def make_method(
    lm: LM,
    name: str,
    settings: Mapping[str, Any],
    *,
    moments: str | Path | None,
    pool: Sequence[Case],
    controlled: Editor | None = None,
    settings_of: str | None = None,
) -> Editor:
    """Return a method for a model.

    Args:
        name: of `papers.survey.contract.METHODS`.
        settings: on top of those that the method's own room holds for the model, or for `settings_of`.
        moments: second moments of the model's keys.
        pool: what a method may take examples from.
        controlled: the editor that `random` is the control of; made anew if absent.
        settings_of: a model that this one was made from, and which the rooms know.

    Raises:
        ConfigError: the method or a setting is unknown.
    """
    if name == CONTROL:
        place = {"moments": moments, "pool": pool, "settings_of": settings_of}
        return RandomDirection(controlled or make_method(lm, CONTROLLED, settings, **place))
    if name == "none":
        return make_editor(name)
    entry = find_method(name)
    chosen = {**entry.settings(settings_of or lm.name), **settings}
    entry.require_layers(chosen, lm.name)
    takes = takes_of(name)
    given = {"moments": moments, "pool": pool}
    return make_editor(name, **chosen, **{field: value for field, value in given.items() if field in takes})
