"""The survey's methods by name, each with the settings of its room and this room's on top.

`random` is the control: ROME's change with random directions. `none` edits nothing. Trained editors take the files that
their rooms made, one per form.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from papers.survey.random_direction import RandomDirection
from shared.catalogue import find_method
from shared.editors import Editor, make_editor, takes_of
from shared.models import LM
from shared.requests import Case

CONTROL, CONTROLLED = "random", "rome"
# Methods whose edit holds all facts at once and stands in the place of the one before.
MEMORIES = ("serac",)


def make_method(
    lm: LM, name: str, settings: Mapping[str, Any], *, moments: str | Path | None, pool: Sequence[Case]
) -> Editor:
    """Return a method for a model.

    Args:
        name: of `papers.survey.contract.METHODS`.
        settings: on top of those that the method's own room holds for the model.
        moments: second moments of the model's keys.
        pool: what a method may take examples from.

    Raises:
        ConfigError: the method or a setting is unknown.
    """
    if name == CONTROL:
        return RandomDirection(make_method(lm, CONTROLLED, settings, moments=moments, pool=pool))
    if name == "none":
        return make_editor(name)
    entry = find_method(name)
    chosen = {**entry.settings(lm.name), **settings}
    entry.require_layers(chosen, lm.name)
    takes = takes_of(name)
    given = {"moments": moments, "pool": pool}
    return make_editor(name, **chosen, **{field: value for field, value in given.items() if field in takes})
