"""What an evaluation run consists of: variants of editors, their settings, the protocol, and the cases of a shard.

The workflow writes down a run with `resolved_variants` (paper defaults, the model's own settings and the variant's on
top) and the evaluation spreads it out with `expand`, once it knows how many layers the model has.
"""

import itertools
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.errors import ConfigError

DEFAULT_CONTEXTS = "default"
SINGLE = "single"


@dataclass(frozen=True)
class Variant:
    """An editor with its settings, under the name that its probe rows carry.

    Attributes:
        name: e.g. `ft_l`, or `rome fact_token=last layer=3` for a point of a grid.
        editor: the method's key.
        settings: its settings.
        contexts: name of the list of prefixes that it uses.
    """

    name: str
    editor: str
    settings: dict[str, Any]
    contexts: str = DEFAULT_CONTEXTS


def resolved_variants(config: Mapping[str, Any], model: str, run: str, *, paper: str) -> dict[str, dict[str, Any]]:
    """Return the variants of a run with every setting filled in: the paper's, then the model's, then the variant's.

    Args:
        config: settings of the paper: `editors`, `models`, `runs`.
        paper: its folder's name, for messages.

    Raises:
        ConfigError: if the model has no settings, or a variant's editor is not among `editors`.
    """
    if model not in config["models"]:
        raise ConfigError(
            f"model {model!r} has no settings under `models` of papers/{paper}/config.yaml; "
            f"known: {', '.join(config['models'])}"
        )
    resolved = {}
    for name, own in config["runs"][run]["variants"].items():
        if own["editor"] not in config["editors"]:
            raise ConfigError(
                f"variant {name!r} of run {run!r}: editor {own['editor']!r} has no settings under `editors` of "
                f"papers/{paper}/config.yaml; known: {', '.join(config['editors'])}"
            )
        # A method that does the same in every model has no entry under it.
        resolved[name] = config["editors"][own["editor"]] | config["models"][model].get(own["editor"], {}) | own
    return resolved


def batch_size(protocol: str) -> int | None:
    """Return how many cases a protocol edits jointly: None for `single`, N for `batch:N`.

    Raises:
        ConfigError: if it is neither.
    """
    match = re.fullmatch(r"batch:([1-9]\d*)", protocol)
    if protocol != SINGLE and match is None:
        raise ConfigError(f"protocol {protocol!r} is not `single` or `batch:N` with N of at least 1")
    return int(match[1]) if match else None


def expand(variants: Mapping[str, Mapping[str, Any]], n_layers: int) -> list[Variant]:
    """Spread each variant over its grid, where `layer` runs over single layers and `layer: all` over every layer.

    Raises:
        ConfigError: if a variant names no editor, or a layer does not exist.
    """
    expanded = []
    for base, own in variants.items():
        settings = dict(own)
        if "editor" not in settings:
            raise ConfigError(f"variant {base!r} names no editor; add `editor: <method>`")
        editor, contexts = settings.pop("editor"), settings.pop("contexts", DEFAULT_CONTEXTS)
        grid = dict(settings.pop("grid", {}))
        if grid.get("layer") == "all":
            grid["layer"] = list(range(n_layers))
        for values in itertools.product(*grid.values()):
            point = dict(zip(grid, values, strict=True))
            own_layers = {"layers": [point["layer"]]} if "layer" in point else {}
            others = {key: value for key, value in point.items() if key != "layer"}
            variant = Variant(point_name(base, point), editor, settings | others | own_layers, contexts)
            _check_layers(variant, n_layers)
            expanded.append(variant)
    return expanded


def _check_layers(variant: Variant, n_layers: int) -> None:
    wrong = [layer for layer in variant.settings.get("layers", []) if not 0 <= layer < n_layers]
    if wrong:
        raise ConfigError(f"variant {variant.name!r}: layers {wrong} do not exist, the model has 0..{n_layers - 1}")


def point_name(base: str, point: Mapping[str, Any]) -> str:
    """Return the name of one point of a grid, which `point_of` reads back."""
    return " ".join([base, *(f"{key}={json.dumps(value)}" for key, value in sorted(point.items()))])


def point_of(name: str) -> dict[str, Any]:
    """Return the base name, under `variant`, and the grid settings that `point_name` wrote."""
    base, *pairs = name.split(" ")
    return {"variant": base} | {key: json.loads(value) for key, value in (pair.split("=", 1) for pair in pairs)}


def shard_bounds(shard: str, count: int, block: int) -> tuple[int, int]:
    """Return the range of positions [start, stop) that belongs to a shard such as `2-of-8`.

    Shards are whole blocks in file order, so that what is computed together never depends on how many shards there are.

    Raises:
        ConfigError: if the shard is not of that form.
    """
    match = re.fullmatch(r"(\d+)-of-(\d+)", shard)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise ConfigError(f"shard {shard!r} is not of the form 2-of-8, with the first number between 1 and the second")
    index, shards = int(match[1]), int(match[2])
    blocks = -(-count // block)
    start, stop = (blocks * part // shards * block for part in (index - 1, index))
    return start, min(stop, count)


def blocks_of(items: Sequence[Any], shard: str, block: int) -> list[Sequence[Any]]:
    """Return a shard's items in the blocks that are computed together."""
    start, stop = shard_bounds(shard, len(items), block)
    return [items[first : min(first + block, stop)] for first in range(start, stop, block)]
