import pytest
import torch
from safetensors.torch import save_file

from shared.errors import ModelError
from shared.model import checkpoints
from shared.records import read_json


def checkpoint(folder, weights="model.safetensors"):
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text("{}")
    (folder / "tokenizer.json").write_text("{}")
    if weights.endswith(".safetensors"):
        save_file({"w": torch.zeros(2)}, folder / weights)
    else:
        (folder / weights).write_bytes(b"pickle")
    return folder


def test_a_folder_is_linked_with_a_card(tmp_path):
    source = checkpoint(tmp_path / "mine")
    checkpoints.link_checkpoint(source, tmp_path / "models/mine")
    card = read_json(tmp_path / "models/mine/card.json")
    assert set(card["files"]) == {"config.json", "tokenizer.json", "model.safetensors"}
    assert (tmp_path / "models/mine/model.safetensors").samefile(source / "model.safetensors")
    checkpoints.link_checkpoint(source, tmp_path / "models/mine")
    assert read_json(tmp_path / "models/mine/card.json") == card


def test_pickled_weights_are_refused(tmp_path):
    source = checkpoint(tmp_path / "old", "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"no \*.safetensors; found \['pytorch_model.bin'\].*save_pretrained"):
        checkpoints.link_checkpoint(source, tmp_path / "models/old")
    assert not (tmp_path / "models/old/card.json").exists()
    with pytest.raises(ModelError, match="no such folder"):
        checkpoints.link_checkpoint(tmp_path / "absent", tmp_path / "models/absent")


def test_the_hub_is_asked_for_the_pinned_revision_without_pickles(tmp_path, monkeypatch):
    asked = {}

    def snapshot(hub, **options):
        asked.update(options, hub=hub)
        checkpoint(tmp_path / "models")

    monkeypatch.setattr(checkpoints, "snapshot_download", snapshot)
    checkpoints.main(["hub", "org/name", "--revision", "a" * 40, "--out", str(tmp_path / "models")])
    assert (asked["hub"], asked["revision"]) == ("org/name", "a" * 40)
    assert "*.bin" in asked["ignore_patterns"]
    assert read_json(tmp_path / "models/card.json")["source"] == {"hub": "org/name", "revision": "a" * 40}


def test_an_unreachable_hub_is_explained(tmp_path, monkeypatch):
    def snapshot(hub, **options):
        raise OSError("no route to host")

    monkeypatch.setattr(checkpoints, "snapshot_download", snapshot)
    with pytest.raises(ModelError, match="org/name at r.*no route to host.*`path`"):
        checkpoints.fetch_checkpoint("org/name", "r", tmp_path / "models")
