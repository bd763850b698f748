"""The door through which every editing method is used, and the list of methods by name.

A method registers itself where it is defined; a program that wants it imports that module and asks by name.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from shared.data.requests import EditRequest
from shared.edits.deltas import UNEDITED, Edit
from shared.errors import ConfigError
from shared.model.models import LM


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


# What belongs to a whole run and is handed to the methods that want it, as settings of these names.
RUN_INPUTS = ("moments", "contexts", "pool")


@dataclass(frozen=True)
class _Method:
    make: Callable[..., Editor]
    takes: tuple[str, ...]


_METHODS: dict[str, _Method] = {"none": _Method(NoEdit, ())}


def register(name: str, make: Callable[..., Editor], takes: Sequence[str] = ()) -> None:
    """Make a method available as `name`; `make(**settings)` builds it and refuses unknown settings.

    Args:
        takes: the run-wide inputs that the method wants handed over, of `moments` (second moments of the model's keys),
            `contexts` (context templates) and `pool` (cases that examples may be taken from).
    """
    if name in _METHODS:
        raise ValueError(f"an editing method called {name!r} is registered already")
    if not set(takes) <= set(RUN_INPUTS):
        raise ValueError(f"editing method {name!r} takes {list(takes)}, expected some of {', '.join(RUN_INPUTS)}")
    _METHODS[name] = _Method(make, tuple(takes))


def _method(name: str) -> _Method:
    if name not in _METHODS:
        raise ConfigError(f"editing method {name!r} is unknown; known here: {', '.join(registered())}")
    return _METHODS[name]


def registered() -> list[str]:
    """Return the names of all methods whose modules have been imported, in alphabetical order."""
    return sorted(_METHODS)


def takes_of(name: str) -> tuple[str, ...]:
    """Return the run-wide inputs that the method called `name` wants handed over.

    Raises:
        ConfigError: if the name is unknown.
    """
    return _method(name).takes


def named_settings(name: str) -> set[str] | None:
    """Return the settings that the method called `name` takes, or None where its signature does not list them all.

    Raises:
        ConfigError: if the name is unknown.
    """
    parameters = inspect.signature(_method(name).make).parameters.values()
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters):
        return None
    return {parameter.name for parameter in parameters}


def make_editor(name: str, **settings: Any) -> Editor:
    """Build the method called `name`.

    Raises:
        ConfigError: if the name or one of the settings is unknown.
    """
    method = _method(name)
    try:
        return method.make(**settings)
    except TypeError as error:
        raise ConfigError(f"editing method {name!r} does not take these settings: {error}") from error
