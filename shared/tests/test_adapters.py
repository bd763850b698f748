"""Edits survive the disk, and other libraries read them."""

import copy

import pytest
import torch
from peft import PeftModel

from shared.editing.adapters import load_edit, save_edit, save_lora
from shared.edits.deltas import Edit, applied, merge
from shared.errors import DataError, ModelError
from shared.tests.test_deltas import make_edit
from shared.tests.tiny import FAMILIES, tiny_lm


def test_an_edit_survives_the_disk(tmp_path):
    edit = merge([make_edit(tiny_lm(), 1, 1, rank=2, bias=True), make_edit(tiny_lm(), 2, 3, dense=True)])
    edit = Edit(edit.deltas, {"loss": 0.5})
    save_edit(edit, tmp_path / "edit.safetensors")
    again = load_edit(tmp_path / "edit.safetensors")
    assert again.info == {"loss": 0.5}
    for ours, theirs in zip(sorted(edit.deltas, key=lambda d: d.module), again.deltas, strict=True):
        assert ours.module == theirs.module
        assert torch.equal(ours.matrix(), theirs.matrix())


def test_a_broken_file_is_named(tmp_path):
    path = tmp_path / "edit.safetensors"
    save_edit(make_edit(tiny_lm(), 1, 1), path)
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(DataError, match="edit.safetensors"):
        load_edit(path)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("other", [{}, {"rank": 3}, {"dense": True}], ids=["equal ranks", "two ranks", "whole matrix"])
@torch.no_grad()
def test_peft_loads_the_adapter_with_equal_logits(family, other, tmp_path):
    lm = tiny_lm(family)
    edit = merge([make_edit(lm, 1, 1), make_edit(lm, 2, 2, **other)])
    save_lora(lm, edit, tmp_path)
    ids = torch.arange(1, 13)[None]
    plain = lm.model(ids).logits
    with applied(lm, edit):
        expected = lm.model(ids).logits
    adapted = PeftModel.from_pretrained(copy.deepcopy(lm.model), tmp_path).eval()
    torch.testing.assert_close(adapted(ids).logits, expected, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(plain, expected, atol=1e-2)


def test_what_an_adapter_cannot_hold_is_refused(tmp_path):
    lm = tiny_lm()
    with pytest.raises(ModelError, match="bias"):
        save_lora(lm, make_edit(lm, 1, 1, bias=True), tmp_path)
    with pytest.raises(ModelError, match="context"):
        save_lora(lm, Edit((), kind="context", context="New fact"), tmp_path)
