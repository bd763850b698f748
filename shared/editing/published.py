"""Which settings and files a paper's command line uses for a model when the user names none."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from shared.errors import ConfigError
from shared.settings import read_yaml


def model_key(model: str) -> str:
    """Return the short name of a model: the last part of its folder or hub id."""
    return Path(model).name


def editor_settings(
    config: str | Path, model: str, editor: str, layers: Sequence[int] | None = None, *, hint: str = ""
) -> dict[str, Any]:
    """Return an editor's settings for a model: the paper's, the model's own, then the chosen layers.

    Args:
        config: the paper's config.yaml, with `editors` and `models`.
        model: folder or hub id; only its last part counts.
        layers: edited layers instead of the published ones.
        hint: how a user may find a layer, for the message where none is known.

    Raises:
        ConfigError: the editor is unknown, or no layers were given and none are published for the model.
    """
    known = read_yaml(config)
    if editor not in known["editors"]:
        raise ConfigError(f"editor {editor!r} is not one of this paper's: {', '.join(known['editors'])}")
    settings = known_settings(known, model, editor)
    if layers is not None:
        settings["layers"] = list(layers)
    if "layers" not in settings:
        raise ConfigError(
            f"no layer is known for {model!r} (settings exist for {', '.join(known['models'])}): give --layer"
            + (f", {hint}" if hint else "")
        )
    return settings


def known_settings(config: Mapping[str, Any], model: str, editor: str) -> dict[str, Any]:
    """Return what a paper's settings say of an editor: for all models, then for this one; empty if nothing."""
    own = config.get("models", {}).get(model_key(model), {})
    return {**config.get("editors", {}).get(editor, {}), **own.get(editor, {})}


def find_moments(model: str) -> Path | None:
    """Return the second moments that the workflow made beside the model, `../moments/<model>.safetensors`."""
    folder = Path(model).resolve()
    candidate = folder.parent.parent / "moments" / f"{folder.name}.safetensors"
    return candidate if candidate.is_file() else None
