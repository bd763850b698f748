"""A model as a network of knowledge neurons, masked or causal."""

from pathlib import Path

import torch

from papers.kn.causal import CausalNetwork
from papers.kn.masked import MaskedNetwork
from papers.kn.network import Network
from shared.model.models import load_lm, load_model
from shared.records import read_json

CAUSAL, MASKED = KINDS = ("causal", "masked")


def kind_of(folder: str | Path) -> str:
    """Return whether the model in a folder is masked or causal, by the class that its config names."""
    classes = read_json(Path(folder) / "config.json").get("architectures") or [""]
    return MASKED if classes[0].endswith("ForMaskedLM") else CAUSAL


def open_network(
    path: str | Path, *, kind: str | None = None, device: str | torch.device = "cpu", dtype: torch.dtype = torch.float32
) -> Network:
    """Load a model.

    Args:
        path: folder or hub id.
        kind: `causal` or `masked`; for a folder its config decides where this is absent, for a hub id it is causal.

    Raises:
        ModelError: the model cannot be loaded as that kind.
    """
    known = kind or (kind_of(path) if (Path(path) / "config.json").is_file() else CAUSAL)
    if known == MASKED:
        return MaskedNetwork(load_model(path, "masked", device=device, dtype=dtype))
    return CausalNetwork(load_lm(path, device=device, dtype=dtype))
