"""Every editing method by name: the room it comes from, and the settings published for a model.

A room says in its card (`PAPER.editors`) which module registers which method; nothing of a method is imported before it
is asked for.
"""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from shared.editing.editors import named_settings
from shared.editing.published import known_settings
from shared.errors import ConfigError
from shared.paper import Paper
from shared.provenance import REPOSITORY
from shared.settings import read_yaml


@dataclass(frozen=True)
class Entry:
    """A method's name, its paper, and the module that registers it."""

    method: str
    paper: Paper
    module: str

    @property
    def config(self) -> Path:
        """The room's settings."""
        return REPOSITORY / "papers" / self.paper.key / "config.yaml"

    @property
    def named_settings(self) -> set[str] | None:
        """The settings that the method takes, or None where its signature does not list them all."""
        self.load()
        return named_settings(self.method)

    def load(self) -> None:
        """Import the method, which registers it."""
        importlib.import_module(self.module)

    def require_layers(self, settings: Mapping[str, Any], model: str) -> None:
        """Check that the edited layers are known, where the method edits layers that someone has to choose.

        Raises:
            ConfigError: neither the settings nor the room say them for this model.
        """
        models = read_yaml(self.config).get("models", {})
        known = [name for name, own in models.items() if "layers" in own.get(self.method, {})]
        if known and not {"layer", "layers"} & set(settings):
            raise ConfigError(
                f"no layer is known to {self.method} for {model!r} (settings exist for {', '.join(known)}): give "
                "layers, such as where causal tracing shows the MLP's effect at the last subject token"
            )

    def settings(self, model: str) -> dict[str, Any]:
        """Return the room's settings of this method for a model: the paper's, then the model's own.

        Those that only its training reads are left out. The method is imported for that.
        """
        found, taken = known_settings(read_yaml(self.config), model, self.method), self.named_settings
        return {name: value for name, value in found.items() if taken is None or name in taken}


@cache
def catalogue() -> dict[str, Entry]:
    """Return all methods by name, in the order of their rooms' names."""
    found = {}
    for folder in sorted(REPOSITORY.glob("papers/[!_]*/")):
        if (folder / "__init__.py").is_file():
            paper = importlib.import_module(f"papers.{folder.name}").PAPER
            found |= {method: Entry(method, paper, module) for method, module in paper.editors.items()}
    return found


def find_method(method: str) -> Entry:
    """Return a method's entry.

    Raises:
        ConfigError: there is no such method.
    """
    known = catalogue()
    if method not in known:
        raise ConfigError(f"editing method {method!r} is unknown; choose one of {', '.join(known)}")
    return known[method]
