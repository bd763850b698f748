"""Errors that a user can act on.

Each message says what went wrong, where (file, case, field, layer or rule), what was found, what was expected, and what
to do next. `EditingError` is the one class a command line needs to catch.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager


class EditingError(Exception):
    """Base of every error this project raises on purpose."""


class DataError(EditingError):
    """A raw file or one of its records cannot be used."""


class ConfigError(EditingError):
    """A setting is unknown, missing or out of range."""


class ModelError(EditingError):
    """A checkpoint, an architecture, a layer or a module cannot be used."""


class NumericalError(EditingError):
    """A computation produced values that cannot be trusted, such as NaN or a singular moment."""


class MissingDeviceError(EditingError):
    """The device that a run asks for does not exist on this machine."""


@contextmanager
def reported(log: logging.Logger) -> Iterator[None]:
    """End the program with an `EditingError`'s message and exit code 1; also a decorator of `main`."""
    try:
        yield
    except EditingError as error:
        log.error("%s", error)
        raise SystemExit(1) from None
