"""Checkpoints not trained here: fetched at a pinned revision, or taken from a folder, and described by a card.

A model's `card.json` is written last, once its folder is whole; everything that computes with the model depends on it.
Only safetensors are taken: a pickled checkpoint can run code when it is opened.
"""

import argparse
import hashlib
import logging
import os
from collections.abc import Mapping
from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError

from shared import runtime
from shared.errors import ModelError, reported
from shared.records import write_json

logger = logging.getLogger(__name__)

WANTED = ["*.safetensors", "*.json", "*.txt", "tokenizer.model"]
UNWANTED = ["onnx/*", "*.msgpack", "*.bin", "*.h5", "*.pt", "*.ot"]


def fetch_checkpoint(hub: str, revision: str, folder: str | Path) -> None:
    """Fetch a hub checkpoint's safetensors, settings and tokenizer into `folder` and write its card.

    A download that broke off goes on where it stopped; `HF_HUB_OFFLINE=1` takes the hub's local cache only.

    Raises:
        ModelError: if the hub cannot be reached, or the revision holds no safetensors.
    """
    try:
        snapshot_download(hub, revision=revision, local_dir=folder, allow_patterns=WANTED, ignore_patterns=UNWANTED)
    except (OSError, HfHubHTTPError) as error:
        raise ModelError(
            f"{hub} at {revision} could not be fetched ({error}). Get the folder another way and describe the model "
            "by `path` in the config instead of `hub`"
        ) from error
    _write_card(Path(folder), {"hub": hub, "revision": revision})


def link_checkpoint(source: str | Path, folder: str | Path) -> None:
    """Link the files of a checkpoint folder into `folder` and write its card.

    Raises:
        ModelError: if `source` is no folder with config.json, tokenizer and safetensors.
    """
    source, folder = Path(source).resolve(), Path(folder)
    if not source.is_dir():
        raise ModelError(f"{source}: no such folder; correct `path` of this model in the config")
    _require(source)
    folder.mkdir(parents=True, exist_ok=True)
    for file in _files(source):
        target = folder / file.name
        target.unlink(missing_ok=True)
        os.symlink(file, target)
    _write_card(folder, {"path": str(source)})


def _files(folder: Path) -> list[Path]:
    taken = {file for pattern in WANTED for file in folder.glob(pattern) if file.name != "card.json"}
    return sorted(file for file in taken if file.is_file())


def _require(folder: Path) -> None:
    names = {file.name for file in _files(folder)}
    if "config.json" not in names:
        raise ModelError(f"{folder}: no config.json; expected a folder that transformers saved with save_pretrained")
    if not any(name.endswith(".safetensors") for name in names):
        found = sorted(file.name for file in folder.iterdir() if file.suffix in {".bin", ".pt", ".h5", ".msgpack"})
        raise ModelError(
            f"{folder}: no *.safetensors; found {found or 'no weights at all'}. Pickled weights are not opened: load "
            "them where you trust them and save them with save_pretrained(..., safe_serialization=True)"
        )


def _write_card(folder: Path, source: Mapping[str, str]) -> None:
    _require(folder)
    files = {file.name: {"bytes": file.stat().st_size, "sha256": _sha256(file)} for file in _files(folder)}
    write_json(folder / "card.json", {"source": dict(source), "files": files})
    logger.info("%s: %d files", folder, len(files))


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@reported(logger)
def main(arguments: list[str] | None = None) -> None:
    """Run the command line: `hub ID --revision R --out DIR` fetches, `path DIR --out DIR` links."""
    parser = argparse.ArgumentParser(prog="python -m shared.model.checkpoints", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    hub = commands.add_parser("hub", help="fetch a checkpoint of the Hugging Face hub")
    hub.add_argument("id")
    hub.add_argument("--revision", required=True, help="commit hash, so that the weights can never change")
    path = commands.add_parser("path", help="link a checkpoint folder of this machine")
    path.add_argument("folder", type=Path)
    for command in (hub, path):
        command.add_argument("--out", type=Path, required=True)
    chosen = parser.parse_args(arguments)
    runtime.start_logging()
    if chosen.command == "hub":
        fetch_checkpoint(chosen.id, chosen.revision, chosen.out)
    else:
        link_checkpoint(chosen.folder, chosen.out)


if __name__ == "__main__":
    main()
