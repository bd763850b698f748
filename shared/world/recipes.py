"""The table of decoder sizes, each with the training recipe that was measured to give the papers' phenomena."""

import dataclasses
from typing import Any

from shared.errors import ConfigError
from shared.world.decoder import DecoderShape
from shared.world.train import Recipe

RECIPES = {
    "tiny": Recipe(
        shape=DecoderShape(d_model=64, layers=5, early_layers=3, heads=4),
        list_steps=500,
        frozen_steps=300,
        settle_steps=400,
    ),
    "small": Recipe(
        shape=DecoderShape(d_model=128, layers=8, early_layers=4, heads=4),
        list_steps=1000,
        frozen_steps=600,
        settle_steps=800,
    ),
    "large": Recipe(
        shape=DecoderShape(d_model=160, layers=10, early_layers=5, heads=5),
        list_steps=900,
        frozen_steps=500,
        settle_steps=600,
    ),
}


def recipe_named(size: str, overrides: dict[str, Any] | None = None) -> Recipe:
    """Return the recipe of `size` with some fields replaced.

    Args:
        size: a key of `RECIPES`.
        overrides: new values by field name; fields of the shape and of the documents are given by their own names.

    Raises:
        ConfigError: if the size or a field is unknown, or a value has the wrong type or range.
    """
    if size not in RECIPES:
        raise ConfigError(f"decoder size {size!r} is unknown; expected one of {', '.join(RECIPES)}")
    recipe = RECIPES[size]
    parts: dict[str, dict[str, Any]] = {"shape": {}, "documents": {}, "recipe": {}}
    owners = {"shape": recipe.shape, "documents": recipe.documents, "recipe": recipe}
    for name, value in (overrides or {}).items():
        part = next((p for p, owner in owners.items() if name in _fields(owner) and name not in owners), None)
        if part is None:
            known = sorted(set().union(*(_fields(owner) for owner in owners.values())) - set(owners))
            raise ConfigError(f"recipe field {name!r} is unknown; expected one of {', '.join(known)}")
        expected = type(getattr(owners[part], name))
        if not isinstance(value, (int, float) if expected is float else expected) or isinstance(value, bool):
            raise ConfigError(f"recipe field {name} = {value!r}, expected a value of type {expected.__name__}")
        parts[part][name] = value
    return dataclasses.replace(
        recipe,
        shape=dataclasses.replace(recipe.shape, **parts["shape"]),
        documents=dataclasses.replace(recipe.documents, **parts["documents"]),
        **parts["recipe"],
    )


def _fields(owner: Any) -> set[str]:
    return {field.name for field in dataclasses.fields(owner)}
