"""Which settings and files the command line uses for a model when the user names none."""

from pathlib import Path
from typing import Any

from shared.errors import ConfigError
from shared.settings import read_yaml

CONFIG = Path(__file__).with_name("config.yaml")


def model_key(model: str) -> str:
    """Return the short name of a model: the last part of its folder or hub id."""
    return Path(model).name


def editor_settings(model: str, editor: str, layer: int | None = None) -> dict[str, Any]:
    """Return an editor's settings for a model: the paper's, the model's own, then the chosen layer.

    Raises:
        ConfigError: no layer was given and none is published for the model.
    """
    config = read_yaml(CONFIG)
    if editor not in config["editors"]:
        raise ConfigError(f"editor {editor!r} is not one of this paper's: {', '.join(config['editors'])}")
    settings = {**config["editors"][editor], **config["models"].get(model_key(model), {}).get(editor, {})}
    if layer is not None:
        settings["layers"] = [layer]
    if "layers" not in settings:
        known = ", ".join(config["models"])
        raise ConfigError(
            f"no layer is known for {model!r} (settings exist for {known}): give --layer, "
            "for instance where `python -m papers.rome trace` shows the MLP's effect at the last subject token"
        )
    return settings


def tracing_settings(model: str) -> dict[str, Any]:
    """Return window and noise for a model; a tenth of 48 layers and 3 sigma, as for GPT-2 XL, where it is unknown."""
    return read_yaml(CONFIG)["models"].get(model_key(model), {}).get("tracing", {"window": 10, "noise": "s3"})


def find_moments(model: str) -> Path | None:
    """Return the second moments that the workflow made beside the model, `../moments/<model>.safetensors`."""
    folder = Path(model).resolve()
    candidate = folder.parent.parent / "moments" / f"{folder.name}.safetensors"
    return candidate if candidate.is_file() else None
