"""The door through which every editing method is used, and the list of methods by name.

A method registers itself where it is defined; a program that wants it imports that module and asks by name.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

from shared.deltas import UNEDITED, Edit
from shared.errors import ConfigError
from shared.models import LM
from shared.requests import EditRequest


@runtime_checkable
class Editor(Protocol):
    """What every method offers. An editor holds its settings; it keeps no model."""

    name: str

    def edit(self, lm: LM, requests: Sequence[EditRequest]) -> Edit:
        """Return one edit that makes all `requests` hold together."""
        ...

    def edit_each(self, lm: LM, requests: Sequence[EditRequest]) -> list[Edit]:
        """Return one independent edit per request, each against the unedited model, computed as a batch."""
        ...


class NoEdit:
    """The unedited model in the role of a method: the first row of every table."""

    name = "none"

    def edit(self, lm: LM, requests: Sequence[EditRequest]) -> Edit:
        """Return the empty edit."""
        return UNEDITED

    def edit_each(self, lm: LM, requests: Sequence[EditRequest]) -> list[Edit]:
        """Return one empty edit per request."""
        return [UNEDITED] * len(requests)


_METHODS: dict[str, Callable[..., Editor]] = {"none": NoEdit}


def register(name: str, make: Callable[..., Editor]) -> None:
    """Make a method available as `name`; `make(**settings)` builds it and refuses unknown settings."""
    if name in _METHODS:
        raise ValueError(f"an editing method called {name!r} is registered already")
    _METHODS[name] = make


def make_editor(name: str, **settings: Any) -> Editor:
    """Build the method called `name`.

    Raises:
        ConfigError: if the name or one of the settings is unknown.
    """
    if name not in _METHODS:
        raise ConfigError(f"editing method {name!r} is unknown; known here: {', '.join(sorted(_METHODS))}")
    try:
        return _METHODS[name](**settings)
    except TypeError as error:
        raise ConfigError(f"editing method {name!r} does not take these settings: {error}") from error
