import errno

import pytest
import torch

from shared import records
from shared.errors import DataError, EditingError


def test_round_trips(tmp_path):
    rows = [{"case_id": 0, "prompt": "Ünï {}"}, {"case_id": 1, "logprobs": [-0.5, -1.25]}]
    assert records.write_jsonl(tmp_path / "a/rows.jsonl", iter(rows)) == 2
    assert list(records.read_jsonl(tmp_path / "a/rows.jsonl")) == rows
    records.write_json(tmp_path / "value.json", {"b": 1, "a": [1.5]})
    assert records.read_json(tmp_path / "value.json") == {"b": 1, "a": [1.5]}
    tensors = {"weight": torch.arange(6.0).reshape(2, 3).T}
    records.write_tensors(tmp_path / "t.safetensors", tensors, {"layer": "3"})
    assert torch.equal(records.read_tensors(tmp_path / "t.safetensors")["weight"], tensors["weight"])


def test_a_failing_writer_keeps_the_old_file_and_leaves_no_part(tmp_path):
    path = tmp_path / "rows.jsonl"
    records.write_jsonl(path, [{"case_id": 0}])

    def breaks():
        yield {"case_id": 1}
        raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        records.write_jsonl(path, breaks())
    assert list(records.read_jsonl(path)) == [{"case_id": 0}]
    assert [file.name for file in tmp_path.iterdir()] == ["rows.jsonl"]


def test_a_full_disk_names_the_file(tmp_path):
    with pytest.raises(EditingError, match="x.json.*disk is full"), records.atomic_path(tmp_path / "x.json"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert list(tmp_path.iterdir()) == []


def test_not_a_number_is_refused(tmp_path):
    with pytest.raises(DataError, match="not finite"):
        records.write_jsonl(tmp_path / "rows.jsonl", [{"value": float("nan")}])
    assert list(tmp_path.iterdir()) == []


def test_damaged_files_name_path_and_place(tmp_path):
    (tmp_path / "cut.jsonl").write_text('{"case_id": 0}\n{"case_id"')
    with pytest.raises(DataError, match="cut.jsonl, line 2"):
        list(records.read_jsonl(tmp_path / "cut.jsonl"))
    (tmp_path / "list.jsonl").write_text("[1]\n")
    with pytest.raises(DataError, match="line 1: got a JSON list"):
        list(records.read_jsonl(tmp_path / "list.jsonl"))
    (tmp_path / "cut.json").write_text('[{"a": 1},\n {"b"')
    with pytest.raises(DataError, match="cut.json: not valid JSON at line 2"):
        records.read_json(tmp_path / "cut.json")
    (tmp_path / "empty.json").write_text("")
    with pytest.raises(DataError, match="is empty"):
        records.read_json(tmp_path / "empty.json")
    (tmp_path / "cut.safetensors").write_bytes(b"\x10\x00\x00\x00")
    with pytest.raises(DataError, match="not a readable safetensors file"):
        records.read_tensors(tmp_path / "cut.safetensors")
    for read in (records.read_json, records.read_tensors, lambda path: list(records.read_jsonl(path))):
        with pytest.raises(DataError, match="no such file"):
            read(tmp_path / "absent")
